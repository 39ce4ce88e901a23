"""list_test.py - heddle list, heddle rm, the upkeep of the plan cache, and completion by a real bash."""
import json
import os
import shutil
import subprocess
import time
import unittest

import say_model
from harness import BIN, HEDDLE, attempt, folder, heddle, main, refused

DAY = 86400


class Store(unittest.TestCase):
    def setUp(self):
        self.data, self.cache = folder(), folder()
        self.models = os.path.join(self.data, "heddle", "models")
        self.plans = os.path.join(self.cache, "heddle", "plans")
        os.makedirs(self.models)
        self.environment = {"XDG_DATA_HOME": self.data, "XDG_CACHE_HOME": self.cache}
        for name, say in (("one", 66), ("two", 67)):
            say_model.write(os.path.join(self.models, name + ".gguf"), say=[say])

    def heddle(self, *arguments, **options):
        return heddle(*arguments, environment=self.environment, **options)

    def attempt(self, *arguments):
        return attempt(*arguments, environment=self.environment)

    def list(self):
        return json.loads(self.heddle("list", "--json"))

    def use(self, name, *options):
        return self.heddle("run", name, "--raw", "-p", "x", "-n", 1, *options)

    def age(self, plan, days):
        then = time.time() - days * DAY
        os.utime(os.path.join(self.plans, plan), (then, then))


class ListAndRemove(Store):
    def test_what_is_there_and_when_it_was_used(self):
        self.use("one")
        self.use("one", "--kv-type", "q8")
        listed = self.list()
        self.assertEqual([(e["name"], e["kind"]) for e in listed],
                         [("one", "model"), ("two", "model"), ("one", "plan"), ("one", "plan")])
        self.assertEqual({e["kv_type"] for e in listed[2:]}, {"f16", "q8"})
        for entry in listed:
            size = os.path.getsize(entry["path"]) if entry["kind"] == "model" else sum(
                os.path.getsize(os.path.join(base, f)) for base, _, files in os.walk(entry["path"]) for f in files)
            self.assertEqual(entry["bytes"], size)
        self.assertTrue(all(e["usable"] and e["state"] == "usable" for e in listed[2:]))
        plan = listed[3]
        self.age(os.path.basename(plan["path"]), 40)
        old = time.time() - 5 * DAY
        os.utime(listed[0]["path"], (old, old))
        text = self.heddle("list")
        self.assertIn("40 days ago", text)
        self.assertRegex(text, r"one +model .* 5 days ago")
        self.use("one", "--kv-type", plan["kv_type"])
        text = self.heddle("list")
        self.assertNotIn("days ago", text)
        self.assertIn(plan["key"][:12], text)
        self.assertEqual(os.path.getmtime(listed[0]["path"]), old, "else its content would be hashed again")

    def test_nothing_there(self):
        shutil.rmtree(self.models)
        self.assertEqual(self.list(), [])
        self.assertEqual(len(self.heddle("list").splitlines()), 1)

    def test_removing_a_model_takes_its_plans(self):
        for name in ("one", "two"):
            self.use(name)
        said = self.heddle("rm", "one")
        self.assertRegex(said, "removed model one, .*B\nremoved plan [0-9a-f]{12} of one, .*B\n$")
        self.assertEqual([(e["name"], e["kind"]) for e in self.list()], [("two", "model"), ("two", "plan")])
        self.heddle("rm", "two", "--plans")
        self.assertEqual([(e["name"], e["kind"]) for e in self.list()], [("two", "model")])
        self.assertEqual(os.listdir(self.plans), [])
        self.assertEqual(self.use("two"), "B\n")
        key = self.list()[1]["key"]
        self.heddle("rm", key[:8])
        self.assertEqual(len(self.list()), 1)

    def test_what_is_not_ours_is_not_removed(self):
        self.use("one")
        path = os.path.join(self.models, "one.gguf")
        for name, word in ((path, "is a path"), ("./one", "is a path"), ("../x", "is a path"), ("nobody", "heddle list"), ("..", "heddle list")):
            refused(self, self.attempt("rm", name), word, status=1)
        refused(self, self.attempt("rm", "two", "nobody"), "nobody", status=1)
        refused(self, self.attempt("rm"), "NAME", status=2)
        refused(self, self.attempt("rm", ""), "empty", status=2)
        self.assertEqual(len(self.list()), 3, "nothing goes when one name is wrong")


class Upkeep(Store):
    def test_plans_that_nobody_can_use_go_with_the_next_compile(self):
        self.use("one")
        plan = os.path.basename(self.list()[2]["path"])
        old, fresh = f"{1:064x}", f"{2:064x}"  # whose manifests name another key
        for key, days in ((old, 30), (fresh, 1)):
            shutil.copytree(os.path.join(self.plans, plan), os.path.join(self.plans, key + ".plan"))
            self.age(key + ".plan", days)
        self.age(plan, 30)
        left = os.path.join(self.plans, "." + plan + ".tmp-0123456789abcdef")
        os.mkdir(left)
        with open(os.path.join(left, "weights.bin"), "wb") as file:
            file.write(b"x" * 1000)
        states = {e["key"]: e["state"] for e in self.list()[2:]}
        self.assertEqual(states, {plan[:-5]: "usable", old: "unreadable", fresh: "unreadable"})
        run = self.attempt("run", "two", "--raw", "-p", "x", "-n", 1)
        self.assertIn(b"removed old plans that no build can use", run.stderr)
        kept = {e["key"] for e in self.list()[2:] if e["name"] != "two"}
        self.assertEqual(kept, {plan[:-5], fresh}, "what was used within a week stays, and what this build can use")
        self.assertFalse(os.path.exists(left))
        self.heddle("rm", "--unused")
        self.assertNotIn(fresh, [e["key"] for e in self.list()[2:]])


class Completion(Store):
    """Words as a real bash completes them, with the script that heddle prints."""

    def complete(self, line):
        script = r'''
eval "$(heddle completion bash)"
COMP_LINE=$1; COMP_POINT=${#1}; read -ra COMP_WORDS <<< "${1//=/ = }"; [[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
spec=($(complete -p heddle)); "${spec[2]}"; printf '%s\n' "${COMPREPLY[@]}"'''
        run = subprocess.run(["bash", "--norc", "-c", script, "bash", line], capture_output=True, cwd=self.models, timeout=60,
                             env=dict(os.environ, PATH=BIN + ":" + os.environ["PATH"], **self.environment))
        self.assertEqual(run.stderr, b"", line)
        return run.stdout.decode().split()

    @unittest.skipUnless(shutil.which("bash"), "there is no bash")
    def test_bash(self):
        self.assertEqual(self.complete("heddle com"), ["compile", "completion"])
        self.assertIn("--version", self.complete("heddle --"))
        self.assertEqual(self.complete("heddle run o"), ["one", "one.gguf"])
        self.assertEqual(self.complete("heddle rm t"), ["two"])
        self.assertEqual(self.complete("heddle pull smol"), ["smollm2-135m"])
        self.assertEqual(self.complete("heddle run one --kv-type "), ["f16", "q8"])
        self.assertEqual(self.complete("heddle run one --kv-t"), ["--kv-type"])
        self.assertIn("x86-64-v3", self.complete("heddle compile one --target "))
        self.assertEqual(self.complete("heddle eval one --text tw"), ["two.gguf"])
        self.assertEqual(self.complete("heddle run one --temperature "), [])
        self.assertEqual(self.complete("heddle completion f"), ["fish"])
        self.assertEqual(self.complete("heddle run one --kv-type="), ["f16", "q8"])
        self.assertEqual(self.complete("heddle run one --kv-type=q"), ["q8"])
        self.assertEqual(self.complete("heddle eval one --text=tw"), ["two.gguf"])
        self.assertEqual(self.complete("heddle run --kv-type=q8 o"), ["one", "one.gguf"])
        self.assertEqual(self.complete("heddle nothing "), [])

    def test_a_value_in_the_same_word(self):
        """As zsh and fish ask."""
        offered = lambda *words: self.heddle("completion", "--for", *words).split()
        self.assertEqual(offered("run", "one", "--kv-type="), ["--kv-type=f16", "--kv-type=q8"])
        self.assertEqual(offered("run", "one", "--kv-type=q"), ["--kv-type=q8"])
        self.assertEqual(offered("eval", "one", "--text="), [":files"])
        self.assertEqual(offered("run", "one", "--verbose="), [])
        self.assertEqual(offered("run", "--kv-type=q8", "o"), ["one", ":files"])

    @unittest.skipUnless(shutil.which("fish"), "there is no fish")
    def test_fish(self):
        def complete(line):
            script = "heddle completion fish | source; complete -C $argv[1]"
            run = subprocess.run(["fish", "--no-config", "-c", script, line], capture_output=True, cwd=self.models, timeout=60,
                                 env=dict(os.environ, PATH=BIN + ":" + os.environ["PATH"], **self.environment))
            self.assertEqual(run.stderr, b"", line)
            return run.stdout.decode().split()

        self.assertEqual(complete("heddle com"), ["compile", "completion"])
        self.assertEqual(complete("heddle run one --kv-type "), ["f16", "q8"])
        self.assertEqual(complete("heddle run one --kv-type=q"), ["--kv-type=q8"])
        self.assertEqual(complete("heddle eval one --text tw"), ["two.gguf"])
        self.assertEqual(complete("heddle eval one --text=tw"), ["--text=two.gguf"])

    def test_every_option_of_every_command_is_offered(self):
        commands = self.heddle("completion", "--for", "").split()
        for command in (c for c in commands if not c.startswith("-")):
            words = self.heddle("completion", "--for", command, "--").split()
            for line in self.heddle(command, "--help").splitlines():
                if line.startswith("  -"):
                    self.assertIn(line.split()[0].split(",")[-1], words + self.heddle("completion", "--for", command, "-").split(), command)

    def test_scripts_are_right_by_their_shells(self):
        for shell, check in (("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])):
            script = os.path.join(folder(), "script")
            with open(script, "w", encoding="utf8") as file:
                file.write(self.heddle("completion", shell))
            if shutil.which(shell):
                subprocess.run([shell, *check, script], check=True)
        refused(self, self.attempt("completion", "tcsh"), "bash, zsh, fish", status=2)


if __name__ == "__main__":
    main()
