"""plan_damage_test.py - a plan of which a file is cut, changed, missing or replaced gives the same answer as before or one line that
names the file, never a crash or a hang; `compile -o` deletes nothing that it did not write."""
import concurrent.futures
import json
import os
import random
import re
import resource
import shutil
import subprocess
import unittest

import harness
import say_model
from harness import attempt, folder, heddle, refused, tree


class PlanCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = say_model.write(os.path.join(cls.place, "m.gguf"), template="{{ messages[0].content }}")
        cls.plan = os.path.join(cls.place, "m.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)
        cls.files = [name for name in tree(cls.plan) if os.path.isfile(os.path.join(cls.plan, name))]

    def copy(self, name):
        plan = os.path.join(self.place, name)
        shutil.copytree(self.plan, plan)
        return plan


class Damage(PlanCase):
    read_by_run = ("manifest.json", "weights.bin", "weights.sum", "tokenizer.json", "chat_template.jinja", "code/")

    def one(self, case):
        """What was wrong with how a changed file was met; None when nothing was."""
        name, file, change, command = case
        plan = self.copy(name)
        try:
            change(os.path.join(plan, file))
            if file == "ir/origins.json":
                run = attempt("inspect", plan, "--stage", "graph", "--locations", timeout=60)
            elif command == "inspect":
                stage = file.split("-")[-1].split(".")[0] if file.startswith("ir/") else "asm"
                run = attempt("inspect", plan, "--stage", stage, timeout=60)
            else:
                run = attempt("run", plan, "--raw", "-p", "a", "-n", 3, "--threads", 1, *command, timeout=60)
            if run.returncode == 0 and run.stdout == b"AAA\n" and not file.startswith(self.read_by_run):
                return None
            line = refused(self, run, status=1)
            self.assertTrue(file in line and re.search("compile|do not use|give a plan|give one", line), line)
            return None
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            return f"{name} ({file}): {error}"
        finally:
            shutil.rmtree(plan, ignore_errors=True)

    def check(self, cases):
        self.assertGreater(len(cases), 10)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            self.assertEqual([said for said in pool.map(self.one, cases) if said], [])
        print(f"{len(cases)} damaged plans")

    def test_cut_or_longer(self):
        def cut(size):
            return lambda path: os.truncate(path, size)
        cases = []
        for file in self.files:
            size = os.path.getsize(os.path.join(self.plan, file))
            for n in sorted({0, 1, size // 3, size - 4096, size - 1, size + 1, size + 4096}):
                if 0 <= n != size:
                    cases.append((f"cut-{len(cases)}-{n}", file, cut(n), ()))
        self.check(cases)

    def test_a_changed_byte(self):
        generator = random.Random(7)
        def flip(at, bit):
            def change(path):
                with open(path, "r+b") as file:
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ bit]))
            return change
        cases = []
        for file in self.files:
            size = os.path.getsize(os.path.join(self.plan, file))
            places = {0, size - 1, *(generator.randrange(size) for _ in range(12 if file.startswith(self.read_by_run) else 2))}
            for at in sorted(places):
                command = () if file.startswith(self.read_by_run) else "inspect"
                cases.append((f"flip-{len(cases)}-{at}", file, flip(at, 1 << generator.randrange(8)), command))
        self.check(cases)

    def test_missing_or_something_else(self):
        outside = os.path.join(self.place, "outside")
        shutil.copytree(self.plan, outside)
        def missing(path):
            os.unlink(path)
        def a_folder(path):
            os.unlink(path)
            os.makedirs(path)
        def a_pipe(path):
            os.unlink(path)
            os.mkfifo(path)
        def a_device(path):
            os.unlink(path)
            os.symlink("/dev/zero", path)
        def nothing(path):
            os.unlink(path)
            os.symlink("/dev/null", path)
        def a_link_out(file):
            def change(path):
                os.unlink(path)
                os.symlink(os.path.join(outside, file), path)
            return change
        cases = []
        for file in self.files:
            for change in (missing, a_folder, a_pipe):
                cases.append((f"{change.__name__}-{len(cases)}", file, change, ()))
        self.check(cases)
        for file in ("manifest.json", "weights.bin", "tokenizer.json", "code/" + os.listdir(os.path.join(self.plan, "code"))[0]):
            for change in (a_device, nothing, a_link_out(file)):
                plan = self.copy("linked.plan")
                change(os.path.join(plan, file))
                refused(self, attempt("run", plan, "--raw", "-p", "a", timeout=60), "leaves the plan", status=1)
                shutil.rmtree(plan)

    def test_ranks_and_servers_say_it_too(self):
        for file in ("weights.bin", "code/" + os.listdir(os.path.join(self.plan, "code"))[0], "weights.sum"):
            plan = self.copy("ranks.plan")
            with open(os.path.join(plan, file), "r+b") as changed:
                changed.seek(100)
                changed.write(b"????")
            line = refused(self, attempt("run", plan, "--raw", "-p", "a", "--ranks", 2, timeout=60), file, "damaged", status=1)
            self.assertIn("compile the model again", line)
            refused(self, attempt("serve", plan, "--grpc", "127.0.0.1:0", timeout=60), file, "damaged", status=1)
            shutil.rmtree(plan)

    def test_compiling_again_mends_a_plan_of_the_cache(self):
        cache = {"XDG_CACHE_HOME": os.path.join(self.place, "cache")}
        def compiled(*options):
            return json.loads(heddle("compile", self.gguf, "--json", *options, environment=cache))
        plan = compiled()["plan"]
        self.assertFalse(compiled()["compiled"])
        for file in ("weights.bin", "tokenizer.json", "ir/0-graph.mlir", "manifest.json"):
            with self.subTest(file):
                with open(os.path.join(plan, file), "r+b") as changed:
                    changed.seek(200)
                    byte = changed.read(1)
                    changed.seek(200)
                    changed.write(bytes([byte[0] ^ 1]))
                self.assertTrue(compiled()["compiled"])
                self.assertFalse(compiled()["compiled"])
        self.assertEqual(heddle("run", self.gguf, "--raw", "-p", "a", "-n", 3, environment=cache), "AAA\n")

    def test_a_plan_of_an_older_version(self):
        plan = self.copy("old.plan")
        with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
            manifest = json.load(file)
        del manifest["files"], manifest["check"]
        manifest["heddle_plan"] = 2
        with open(os.path.join(plan, "manifest.json"), "w", encoding="utf8") as file:
            json.dump(manifest, file)
        refused(self, attempt("run", plan, "--raw", "-p", "a"), "plan version 2", "compile the model again", status=1)
        heddle("compile", self.gguf, "-o", plan)  # it may be replaced
        self.assertEqual(heddle("run", plan, "--raw", "-p", "a", "-n", 3), "AAA\n")


class Output(PlanCase):
    """Where -o may point."""

    def refuses(self, output, *words, **options):
        run = subprocess.run([harness.HEDDLE, "compile", self.gguf, "-o", output], capture_output=True, timeout=60,
                             stdin=subprocess.DEVNULL, **options)
        refused(self, run, *words, status=1)
        self.assertNotIn(b"graph", run.stderr)  # the first phase: nothing was compiled

    def test_nothing_that_no_plan_has_is_deleted(self):
        for name in ("letter.txt", "code/notes", "ir/mine/0-graph.mlir", ".git/config"):
            with self.subTest(name):
                plan = self.copy("mine.plan")
                os.makedirs(os.path.dirname(os.path.join(plan, name)), exist_ok=True)
                with open(os.path.join(plan, name), "w", encoding="utf8") as file:
                    file.write("dear")
                before = tree(plan)
                self.refuses(plan, "mine.plan", "it holds")
                self.assertEqual(tree(plan), before)
                shutil.rmtree(plan)

    def test_places_that_are_no_plans(self):
        web = os.path.join(self.place, "web")
        os.makedirs(web)
        for name in ("manifest.json", "index.html"):
            with open(os.path.join(web, name), "w", encoding="utf8") as file:
                file.write("{}")
        self.refuses(web, "index.html")
        file = os.path.join(self.place, "a-file")
        with open(file, "w", encoding="utf8") as out:
            out.write("x")
        self.refuses(file, "exists and is no plan")
        link = os.path.join(self.place, "link.plan")
        os.symlink(self.plan, link)
        self.refuses(link, "is a link")
        self.refuses(os.path.join(self.place, "no", "x.plan"), "no such folder")
        self.refuses(os.path.join(file, "x.plan"), "no such folder")
        self.refuses("/", "no name for a plan")
        self.refuses("/dev/shm", "/dev/shm")  # a mount point
        here = os.path.join(self.place, "here")
        os.makedirs(here)
        for output in (".", here, "../here/", "x/.."):
            self.refuses(output, "is the folder that you are in", cwd=here)
        self.assertEqual(tree(here), [])
        if os.geteuid() != 0:
            os.chmod(here, 0o500)
            self.refuses(os.path.join(here, "x.plan"), "Permission denied")

    def test_places_that_are_fine(self):
        empty = os.path.join(self.place, "empty.plan")
        os.makedirs(empty)
        there = self.copy("there.plan")
        for output in (empty, there, there + "/", os.path.join(self.place, "new.plan")):
            with self.subTest(output):
                heddle("compile", self.gguf, "-o", output)
                self.assertEqual(heddle("run", output, "--raw", "-p", "a", "-n", 3), "AAA\n")
                self.assertEqual([name for name in os.listdir(self.place) if name.startswith(".")], [])

    def test_what_a_killed_compiler_left_goes_with_the_next(self):
        plan = os.path.join(self.place, "killed.plan")
        left = os.path.join(self.place, ".killed.plan.tmp-0123456789abcdef")
        os.makedirs(os.path.join(left, "code"))
        heddle("compile", self.gguf, "-o", plan)
        self.assertFalse(os.path.exists(left))


class MoreTargets(PlanCase):
    def other(self):
        has, = os.listdir(os.path.join(self.plan, "code"))
        return next(name for name in harness.TARGETS if name + ".so" != has)

    def test_a_target_is_added_and_listed(self):
        plan, target = self.copy("two.plan"), self.other()
        for left in (f"code/{target}.so.new", "manifest.json.new"):  # of a killed one
            with open(os.path.join(plan, left), "w", encoding="utf8") as file:
                file.write("rubbish")
        heddle("compile", plan, "--target", target)
        self.assertEqual([name for name in tree(plan) if name.endswith(".new")], [])
        with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
            manifest = json.load(file)
        self.assertIn(target, manifest["targets"])
        self.assertIn(f"code/{target}.so", [entry["name"] for entry in manifest["files"]])
        for name in harness.targets():
            if name in manifest["targets"]:
                self.assertEqual(heddle("run", plan, "--raw", "-p", "a", "-n", 3, "--target", name), "AAA\n")
        heddle("compile", plan, "--target", target)  # again: the same code
        os.truncate(os.path.join(plan, f"code/{target}.so"), 1000)
        refused(self, attempt("run", plan, "--raw", "-p", "a"), f"{target}.so", status=1)

    def test_stages_that_contradict_the_manifest_are_refused(self):
        for change in ("arena_bytes_per_token", "states", "entries", "base"):
            plan = self.copy(f"{change}.plan")
            with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
                manifest = json.load(file)
            if change == "states":
                manifest["states"][0]["layers"] += 1
            elif change == "entries":
                manifest["entries"][0]["name"] = "other"
            elif change == "base":
                manifest["ropes"][0]["base"] *= 2
            else:
                manifest[change] -= 64
            harness.write_manifest(plan, manifest)
            before = tree(plan)
            refused(self, attempt("compile", plan, "--target", self.other()), plan, "differ in", status=1)
            self.assertEqual(tree(plan), before)
            shutil.rmtree(plan)

    def test_a_damaged_stage_is_not_compiled(self):
        plan = self.copy("stage.plan")
        with open(os.path.join(plan, "ir", "3-planned.mlir"), "r+b") as file:
            file.seek(3000)
            file.write(b"0")
        refused(self, attempt("compile", plan, "--target", self.other()), "3-planned.mlir", "damaged", status=1)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    harness.main()
