"""machines_test.py - what a machine lets Heddle have: cores, memory, shared memory. Limits come from made-up files in a mount
namespace, and from real control groups where this machine lets us make them."""
import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
import say_model
from harness import HEDDLE, complaint

CORES = len(os.sched_getaffinity(0))
_model = {}


def namespace():
    """The command that gives a private mount namespace in which we may mount."""
    for flags in (["-m"], ["-rm"]):
        run = subprocess.run(["unshare", *flags, "mount", "-t", "tmpfs", "t", "/dev/shm"], capture_output=True, check=False)
        if run.returncode == 0:
            return ["unshare", *flags]
    raise unittest.SkipTest("no mount namespace can be made here (unshare -m)")


def inside(script, *arguments, timeout=120):
    """Runs heddle after `script` in a mount namespace of its own."""
    return subprocess.run([*namespace(), "sh", "-c", f'{script}\nexec "$@"', "sh", HEDDLE, *[str(a) for a in arguments]],
                          capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False)


V2 = 'mount -t tmpfs t /sys/fs/cgroup; echo "{}" > /sys/fs/cgroup/cpu.max'
V1 = ('mount -t tmpfs t /sys/fs/cgroup; mkdir /sys/fs/cgroup/cpu; echo {} > /sys/fs/cgroup/cpu/cpu.cfs_quota_us; '
      'echo {} > /sys/fs/cgroup/cpu/cpu.cfs_period_us')
MEMORY = ('mount -t tmpfs t /sys/fs/cgroup; cd /sys/fs/cgroup; echo {} > memory.max; echo 50000000 > memory.current; '
          'echo inactive_file 20000000 > memory.stat; cd /')
SHM = "mount -t tmpfs -o size={} t /dev/shm"


def plan():
    """A small plan, and one of about 200 MB; compiled once."""
    if not _model:
        place = tempfile.mkdtemp(prefix="heddle-machines-")  # not in /dev/shm, over which the tests mount
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        for name, options in (("small", {}), ("large", {"width": 512, "feed_forward": 2048, "layers": 16})):
            say_model.write(os.path.join(place, name + ".gguf"), **options)
            _model[name] = os.path.join(place, name + ".plan")
            harness.heddle("compile", os.path.join(place, name + ".gguf"), "-o", _model[name])
        _model["text"] = os.path.join(place, "text.txt")
        with open(_model["text"], "w", encoding="utf8") as file:
            file.write("some text to read")
    return _model


def served(script, *arguments, seconds=60):
    """Serves inside until the first line of stdout, or the end; (that line, all of stderr, status or None while it ran)."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*namespace(), "sh", "-c", f'{script}\nexec "$@"', "sh", HEDDLE, "serve", *arguments,
                                    "--grpc", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(seconds)
        line = process.stdout.readline().decode()
        signal.alarm(0)
        time.sleep(0.2)  # the note of its memory follows
        status = process.poll()
        process.terminate()
        process.wait(30)
        process.stdout.close()
        log.seek(0)
        return line, log.read().decode(errors="replace"), status


class Cores(unittest.TestCase):
    def check(self, script, threads):
        """Everybody who says how many threads there are says the same."""
        model = plan()["small"]
        found = inside(script, "doctor").stdout.decode()
        self.assertRegex(found, rf"cores +{threads}\b")
        checks = json.loads(inside(script, "doctor", "--json").stdout)["checks"]
        self.assertEqual(next(c for c in checks if c["what"] == "cores")["threads"], threads)
        for ranks in (1, 2):
            each = max(1, threads // ranks)
            run = inside(script, "run", model, "--raw", "-p", "a", "-n", 3, "--verbose", "--ranks", ranks)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(f"{ranks} rank{'s' * (ranks > 1)} of {each} thread{'s' * (each > 1)};", run.stderr.decode())
            report = inside(script, "bench", model, "-p", 8, "-n", 2, "-r", 1, "--json", "--ranks", ranks)
            self.assertEqual(json.loads(report.stdout)["threads"], each)
            line, log, _ = served(script, model, "--ranks", str(ranks))
            self.assertIn(f"with {ranks} rank", line)
            self.assertIn(f"{each} thread{'s' * (each > 1)} a rank", log)
        report = inside(script, "eval", model, "--text", plan()["text"], "--json", "--ranks", 2)
        self.assertEqual(json.loads(report.stdout)["threads"], max(1, threads // 2))

    def test_a_quota_of_one_core(self):
        self.check(V2.format("100000 100000"), 1)

    def test_a_version_1_quota_of_one_core(self):
        self.check(V1.format(50000, 50000), 1)

    def test_without_a_quota(self):
        self.check("mount -t tmpfs t /sys/fs/cgroup", CORES)

    def test_the_reason_is_told(self):
        if CORES < 2:
            raise unittest.SkipTest("this machine has one core")
        found = inside(V2.format("50000 100000"), "doctor").stdout.decode()
        self.assertRegex(found, r"cores +1 of \d+: a CPU quota of 0.5 cores \(/sys/fs/cgroup/cpu.max\)")
        run = subprocess.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), HEDDLE, "doctor"], capture_output=True, check=False)
        self.assertRegex(run.stdout.decode(), r"cores +1 of \d+: the CPU affinity of this process")


class Memory(unittest.TestCase):
    def refused(self, run, *words):
        lines = complaint(run)
        self.assertEqual(run.returncode, 1, lines)
        self.assertEqual(len(lines), 1, lines)
        self.assertEqual(run.stdout, b"")
        for word in ("does not fit into memory", *words):
            self.assertIn(word, lines[0])

    def test_doctor_knows_the_limit(self):
        found = inside(MEMORY.format(300000000), "doctor").stdout.decode()
        self.assertRegex(found, r"memory +300.0 MB, 270.0 MB available: a memory limit of 300.0 MB \(/sys/fs/cgroup/memory.max\)")

    def test_a_model_larger_than_the_limit_is_refused_with_both_sizes(self):
        large, text = plan()["large"], plan()["text"]
        limit = MEMORY.format(150000000)
        sizes = (" MB for weights", "120.0 MB are available", "a memory limit of 150.0 MB")
        for ranks in (1, 2):
            who = ["--ranks", ranks]
            self.refused(inside(limit, "run", large, "--raw", "-p", "a", *who), *sizes)
            self.refused(inside(limit, "bench", large, "-p", 8, "-n", 2, *who), *sizes)
            self.refused(inside(limit, "eval", large, "--text", text, *who), *sizes)
            line, log, status = served(limit, large, "--ranks", str(ranks))
            self.assertEqual((line, status), ("", 1), log)
            self.assertEqual(len(log.splitlines()), 1, log)
            for word in sizes:
                self.assertIn(word, log)

    def test_the_default_cache_leaves_room_for_the_weights(self):
        run = inside(MEMORY.format(400000000), "run", plan()["large"], "--raw", "-p", "a", "-n", 3)
        self.assertEqual((run.returncode, run.stdout), (0, b"AAA\n"), run.stderr)

    def test_more_kv_memory_than_there_is_is_refused(self):
        for ranks in (1, 2):
            run = harness.attempt("run", plan()["small"], "--raw", "-p", "a", "--kv-memory", "900T", "--ranks", ranks)
            self.refused(run, "for the KV memory that was asked for", "available")

    def test_a_text_whose_logits_have_no_room_is_evaluated_in_more_steps(self):
        place = os.path.dirname(plan()["small"])
        model = say_model.write(os.path.join(place, "words.gguf"), vocabulary=50000)
        with open(os.path.join(place, "long.txt"), "w", encoding="utf8") as file:
            file.write("a" * 600)
        harness.heddle("compile", model)
        reports = [json.loads(inside(limit, "eval", model, "--text", os.path.join(place, "long.txt"), "--chunk", chunk, "--json").stdout)
                   for limit, chunk in ((MEMORY.format(125000000), 600), ("true", 64))]
        self.assertEqual(*[(report["tokens"], report["perplexity"]) for report in reports])

    def test_a_limit_on_the_address_space(self):
        harness.without_sanitizer()
        script = "ulimit -v 300000"
        run = subprocess.run(["sh", "-c", f'{script}; exec "$@"', "sh", HEDDLE, "run", plan()["large"], "--raw", "-p", "a"],
                             capture_output=True, check=False)
        self.refused(run, "a limit of 307.2 MB on this process", "raise that limit")
        run = subprocess.run(["sh", "-c", f'{script}; exec "$@"', "sh", HEDDLE, "run", plan()["small"], "--raw", "-p", "a", "--ranks",
                              "2"], capture_output=True, check=False)
        self.assertEqual((run.returncode, len(complaint(run))), (1, 1), run.stderr)
        self.assertIn("a limit of 307.2 MB on this process (ulimit -v); raise it", complaint(run)[0])


class RealGroup(unittest.TestCase):
    """A control group of the kernel's own, which kills and throttles."""

    def group(self, controller, **values):
        base = f"/sys/fs/cgroup/{controller}"
        place = os.path.join(base, f"heddle-test-{os.getpid()}")
        try:
            os.mkdir(place)
            self.addCleanup(os.rmdir, place)
            for name, value in values.items():
                with open(os.path.join(place, f"{controller}.{name}"), "w", encoding="utf8") as file:
                    file.write(str(value))
        except OSError as error:
            raise unittest.SkipTest(f"no {controller} group of version 1 can be made here: {error}") from None
        return place

    def in_group(self, place, *arguments, timeout=300):
        return subprocess.run(["sh", "-c", f'echo $$ > {place}/cgroup.procs; exec "$@"', "sh", HEDDLE, *[str(a) for a in arguments]],
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False)

    def test_a_model_that_does_not_fit_is_refused_and_not_killed(self):
        harness.without_sanitizer()
        large = plan()["large"]
        place = self.group("memory", limit_in_bytes=150_000_000)
        for ranks in (1, 2):
            run = self.in_group(place, "run", large, "--raw", "-p", "a", "--ranks", ranks)
            self.assertEqual(run.returncode, 1, run.stderr)
            self.assertRegex(complaint(run)[0], r"does not fit into memory: .* MB are available, with a memory limit of 1\d\d")

    def test_a_model_that_fits_just_so_is_answered(self):
        harness.without_sanitizer()
        large = plan()["large"]
        place = self.group("memory", limit_in_bytes=420_000_000)
        for ranks in (1, 2):
            run = self.in_group(place, "run", large, "--raw", "-p", "a " * 700, "-n", 20, "--ranks", ranks)
            self.assertEqual((run.returncode, run.stdout), (0, b"A" * 20 + b"\n"), run.stderr)

    def test_a_paused_container_goes_on_as_if_nothing_had_been(self):
        """docker pause: everything but the client is frozen in the middle of an answer."""
        place = self.group("freezer")
        state = os.path.join(place, "freezer.state")

        def freeze(word):
            with open(state, "w", encoding="utf8") as file:
                file.write(word)

        server = harness.Server(plan()["large"], "--ranks", 2, "--threads", 1)
        try:
            for pid in server.family():
                with open(os.path.join(place, "cgroup.procs"), "w", encoding="utf8") as file:
                    file.write(str(pid))
            client = subprocess.Popen([HEDDLE, "ask", server.address, "--raw", "-p", "a", "-n", "800"], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
            begun = client.stdout.read(1)
            freeze("FROZEN")
            time.sleep(9)
            freeze("THAWED")
            rest, error = client.communicate(timeout=200)
            self.assertEqual((client.returncode, begun + rest), (0, b"A" * 800 + b"\n"), error)
            self.assertNotIn("ended", server.messages())
        finally:
            freeze("THAWED")
            server.stop()
            for _ in range(50):  # until the group is empty
                with open(os.path.join(place, "cgroup.procs"), encoding="utf8") as file:
                    if not file.read():
                        break
                time.sleep(0.1)

    def test_a_quota_is_seen(self):
        place = self.group("cpu", cfs_quota_us=100000)
        inner = os.path.join(place, "inner")  # its own quota is none: the outer group's binds
        os.mkdir(inner)
        self.addCleanup(os.rmdir, inner)
        run = self.in_group(inner, "run", plan()["small"], "--raw", "-p", "a", "-n", 3, "--verbose")
        words = "1 rank of 1 thread; this host lets us use 1"
        self.assertIn(words if CORES == 1 else f"{words} of {CORES} cores: a CPU quota of 1 core ({place}/cpu.cfs_quota_us)",
                      run.stderr.decode())
        run = self.in_group(inner, "run", plan()["small"], "--raw", "-p", "a", "-n", 3, "--ranks", 2, "--verbose")
        self.assertIn("2 ranks of 1 thread;", run.stderr.decode())


class SharedMemory(unittest.TestCase):
    def test_too_little_is_one_line_with_both_sizes_and_the_remedy(self):
        for arguments in (["run", plan()["small"], "--raw", "-p", "a", "-n", 3, "--ranks", 2],
                          ["eval", plan()["small"], "--text", plan()["text"], "--ranks", 2]):
            run = inside(SHM.format("1m"), *arguments)
            lines = complaint(run)
            self.assertEqual((run.returncode, len(lines), run.stdout), (1, 1, b""), lines)
            for word in ("2 ranks share 1.2 MB in /dev/shm", "1.0 MB of 1.0 MB are free", "docker run --shm-size"):
                self.assertIn(word, lines[0])
        line, log, status = served(SHM.format("1m"), plan()["small"], "--ranks", "2")
        self.assertEqual((line, status), ("", 1), log)
        self.assertIn("docker run --shm-size", log)
        self.assertRegex(inside(SHM.format("1m"), "doctor").stdout.decode(), r"slow +shared memory +/dev/shm, 1.0 MB free of 1.0 MB")

    def test_what_is_asked_for_is_enough(self):
        for size, ranks in (("64m", 4), ("8m", 2), ("1168k", 2), ("1720k", 3)):  # docker's; a small one; what is asked for
            run = inside(SHM.format(size), "run", plan()["small"], "--raw", "-p", "a", "-n", 3, "--ranks", ranks)
            self.assertEqual((run.returncode, run.stdout), (0, b"AAA\n"), run.stderr)
        run = inside(SHM.format("1100k"), "run", plan()["small"], "--raw", "-p", "a", "-n", 3, "--ranks", 2)
        self.assertEqual((run.returncode, len(complaint(run))), (1, 1), run.stderr)
        self.assertRegex(inside(SHM.format("8m"), "doctor").stdout.decode(), r"8.4 MB free of 8.4 MB, enough for 14 ranks")

    def test_one_rank_needs_none(self):
        for ranks in ([], ["--ranks", 1]):
            run = inside(SHM.format("4k"), "run", plan()["small"], "--raw", "-p", "a", "-n", 3, *ranks)
            self.assertEqual((run.returncode, run.stdout), (0, b"AAA\n"), run.stderr)
        line, log, _ = served(SHM.format("4k"), plan()["small"])
        self.assertIn("with 1 rank", line, log)

    def test_a_full_one_is_one_line_also_for_one_rank(self):
        full = SHM.format("4k") + "; echo x > /dev/shm/x"
        run = inside(full, "run", plan()["small"], "--raw", "-p", "a", "-n", 3)
        self.assertEqual((run.returncode, run.stdout, len(complaint(run))), (1, b"", 1), run.stderr)
        self.assertIn("OpenMP needs 4 kB in /dev/shm, where 0 kB of 4 kB are free", complaint(run)[0])
        run = inside(full, "doctor")
        self.assertEqual((run.returncode, run.stderr), (1, b""))
        self.assertRegex(run.stdout.decode(), r"missing +read bandwidth +not measured\n +-> OpenMP needs")

    def test_one_that_cannot_be_written_costs_nothing(self):
        run = inside("mount -t tmpfs -o ro none /dev/shm", "run", plan()["small"], "--raw", "-p", "a", "-n", 3)
        self.assertEqual((run.returncode, run.stdout, len(complaint(run))), (0, b"AAA\n", 1), run.stderr)  # its figures


if __name__ == "__main__":
    harness.main()
