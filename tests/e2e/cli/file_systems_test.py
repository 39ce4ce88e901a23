"""file_systems_test.py - file systems without locks, and such that run no code: said once, with the remedy."""
import errno
import os
import subprocess
import unittest

import harness
import say_model
from harness import attempt, complaint, folder, heddle, refused


class NoLocks(unittest.TestCase):
    def preloaded(self, number, **environment):
        return dict(environment, LD_PRELOAD=os.path.join(harness.BIN, "..", "lib", "libnolock.so"), NOLOCK_ERRNO=str(number))

    def test_a_model_is_compiled_without_a_lock(self):
        for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            with self.subTest(errno.errorcode[number]):
                place = folder()
                gguf = say_model.write(os.path.join(place, "say.gguf"))
                cache = os.path.join(place, "cache")
                environment = self.preloaded(number, XDG_CACHE_HOME=cache)
                run = attempt("run", gguf, "--raw", "-p", "a", "-n", "3", environment=environment)
                self.assertEqual((run.returncode, run.stdout), (0, b"AAA\n"), run.stderr)
                notes = [line for line in run.stderr.decode().splitlines() if "has no locks" in line]
                self.assertEqual(len(notes), 1, run.stderr)
                self.assertIn(cache, notes[0])
                again = attempt("run", gguf, "--raw", "-p", "a", "-n", "3", environment=environment)
                self.assertEqual((again.returncode, again.stdout), (0, b"AAA\n"))
                self.assertNotIn(b"has no locks", again.stderr)

    def test_ranks_and_plans_need_no_lock(self):
        place = folder()
        plan = os.path.join(place, "say.plan")
        environment = self.preloaded(errno.ENOLCK)
        heddle("compile", say_model.write(os.path.join(place, "say.gguf")), "-o", plan, environment=environment)
        out = heddle("run", plan, "--raw", "-p", "a", "-n", "3", "--ranks", "2", environment=environment)
        self.assertEqual(out, "AAA\n")

    def test_logits_are_written_where_a_file_needs_a_name(self):
        place, out = folder(), folder()
        text, matrix = os.path.join(place, "text.txt"), os.path.join(out, "x.npy")
        with open(text, "w", encoding="utf8") as file:
            file.write("abc")
        command = ["eval", say_model.write(os.path.join(place, "say.gguf")), "--text", text, "--logits", matrix]
        hashes = []
        for environment in (self.preloaded(errno.ENOLCK), self.preloaded(errno.ENOLCK), {}):  # new, replaced, and by the other way
            heddle(*command, environment=environment)
            self.assertEqual(harness.tree(out), ["x.npy", "x.npy.tokens.json"])
            hashes.append(harness.file_hash(matrix))
        self.assertEqual(hashes, hashes[:1] * 3)

    def test_a_pull_goes_on_without_a_lock(self):
        place = folder()
        run = attempt("pull", "smollm2-135m", timeout=60,
                      environment=self.preloaded(errno.ENOLCK, XDG_DATA_HOME=place, PIP_NO_INDEX="1"))
        self.assertEqual(run.returncode, 1)
        self.assertNotIn(b"another pull", run.stderr)
        self.assertEqual(run.stderr.decode().count("has no locks"), 1)
        self.assertIn("pip", complaint(run)[-1])


class NoExec(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a file system can only be mounted by root")
        self.place = folder()
        self.disk = os.path.join(self.place, "disk")
        os.makedirs(self.disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,noexec", "tmpfs", self.disk], capture_output=True).returncode:
            self.skipTest("mounting is not allowed here")
        self.addCleanup(lambda: subprocess.run(["umount", self.disk], check=True))

    def test_the_mount_is_named_with_the_remedy(self):
        gguf = say_model.write(os.path.join(self.place, "say.gguf"))
        cache = {"XDG_CACHE_HOME": self.disk}
        for ranks in ("1", "2"):
            line = refused(self, attempt("run", gguf, "--raw", "-p", "a", "--ranks", ranks, environment=cache), "noexec", "XDG_CACHE_HOME",
                           "compile", self.disk, status=1)
            self.assertNotIn("compile the plan again", line)
        refused(self, attempt("serve", gguf, "--grpc", "127.0.0.1:0", environment=cache, timeout=60), "noexec", "XDG_CACHE_HOME", status=1)
        plan = os.path.join(self.place, "elsewhere.plan")
        heddle("compile", gguf, "-o", plan, environment=cache)
        self.assertEqual(heddle("run", plan, "--raw", "-p", "a", "-n", "3", environment=cache), "AAA\n")

    def test_doctor_finds_it(self):
        run = attempt("doctor", environment={"XDG_CACHE_HOME": os.path.join(self.disk, "not", "yet")})
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stdout.decode(), r"missing +plan cache .*noexec")
        self.assertIn("XDG_CACHE_HOME", run.stdout.decode())


class Doctor(unittest.TestCase):
    def test_it_says_all_even_without_a_home(self):
        variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
        run = subprocess.run([harness.HEDDLE, "doctor"], env=variables, capture_output=True, timeout=60)
        self.assertEqual((run.returncode, run.stderr), (1, b""))
        self.assertRegex(run.stdout.decode(), r"missing +plan cache ")
        self.assertRegex(run.stdout.decode(), r"missing +models ")
        self.assertIn("read bandwidth", run.stdout.decode())

    def test_it_says_where_temporary_files_go(self):
        good = folder()
        variables = {"TMPDIR": good, "XDG_RUNTIME_DIR": ""}
        self.assertIn(good, heddle("doctor", environment=variables))
        self.assertEqual(harness.tree(good), [])
        out = heddle("doctor", environment=dict(variables, TMPDIR="/proc/nowhere"))
        self.assertRegex(out, r"ok +temporary files +/tmp")


if __name__ == "__main__":
    harness.main()
