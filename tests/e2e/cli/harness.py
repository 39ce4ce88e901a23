"""harness.py - what the end-to-end tests of the command line share. Python's standard library only.

CTest starts each script as `SCRIPT.py BIN [TEST…]`, BIN being the build's bin folder and TEST a unittest name such as `Eval.test_ranks`.
Exit status 77 and a line `SKIP: reason` mean that nothing of it was possible on this machine.
"""
import atexit
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
HEDDLE = os.path.join(BIN, "heddle")
TEXT = os.path.join(HERE, "text.txt")
TARGETS = {"x86-64-v3": [], "x86-64-v3+vnni": ["avx_vnni"],
           "x86-64-v4": ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"],
           "x86-64-v4+vnni": ["avx512f", "avx512_vnni"]}


def main():
    """Runs the tests that the command line names, all without names."""
    program = unittest.main(argv=[sys.argv[0], *sys.argv[2:]], exit=False, verbosity=2)
    result = program.result
    for test, reason in result.skipped:
        print(f"SKIP: {reason} ({test.id().removeprefix('__main__.')})", flush=True)
    if result.wasSuccessful() and result.skipped and len(result.skipped) >= result.testsRun:  # a class skipped whole has run none
        sys.exit(77)
    sys.exit(0 if result.wasSuccessful() else 1)


# ---- folders ----

_folders = []
_processes = []


def _clean():
    for process in _processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(_clean)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # CTest's timeout: the folders are removed all the same


def folder(gigabytes=0.0):
    """A fresh folder that goes with the process; in memory where that is large enough, as plans are written with
    fsync, which can take seconds on a busy disk."""
    parent = None
    try:
        disk = os.statvfs("/dev/shm")
        with open("/proc/meminfo", encoding="utf8") as file:
            meminfo = dict(line.split(":") for line in file)
        free = min(disk.f_bavail * disk.f_frsize, int(meminfo["MemAvailable"].split()[0]) * 1024) / 2**30
        if free > 2 * gigabytes + 2:
            parent = "/dev/shm"
    except (OSError, KeyError, ValueError):
        pass
    path = tempfile.mkdtemp(prefix="heddle-e2e-", dir=parent)
    _folders.append(path)
    if shutil.disk_usage(path).free < (gigabytes + 0.2) * 2**30:
        raise unittest.SkipTest(f"{path} has less than {gigabytes:.1f} GB free")
    return path


def tree(path):
    """Every file below a folder: to see that nothing was written."""
    return sorted(os.path.relpath(os.path.join(base, name), path) for base, dirs, files in os.walk(path) for name in dirs + files)


# ---- commands ----

def heddle(*arguments, status=0, environment=None, timeout=300, stdin=None):
    """Runs a command and checks its exit status; returns stdout as text (standard error is in the failure's message)."""
    run = attempt(*arguments, environment=environment, timeout=timeout, stdin=stdin)
    if run.returncode != status:
        words = " ".join(str(a) for a in arguments)
        raise AssertionError(f"heddle {words}: exit status {run.returncode}, not {status}\n"
                             f"{run.stderr.decode(errors='replace')[-2000:]}")
    return run.stdout.decode(errors="replace")


def attempt(*arguments, environment=None, timeout=300, stdin=None):
    env = None if environment is None else dict(os.environ, **environment)
    arguments = [a if isinstance(a, bytes) else str(a) for a in arguments]
    return subprocess.run([HEDDLE, *arguments], env=env, capture_output=True, timeout=timeout,
                          input=stdin, **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))


NOTES = re.compile(r"(compiling |compiled in |already compiled|another process is compiling|measuring)")


def complaint(run):
    """What a failed command says, without its notes of progress: must be one line."""
    text = run.stderr.decode(errors="replace")
    return [line for line in text.splitlines() if not NOTES.match(line)]


def refused(test, run, *words, status=(1, 2)):
    """One clear line on stderr, nothing on stdout, exit status 1 or 2."""
    status = (status,) if isinstance(status, int) else status
    lines = complaint(run)
    test.assertIn(run.returncode, status, f"{run.args[1:]}: {lines}")
    test.assertEqual(len(lines), 1, f"{run.args[1:]}: {lines}")
    test.assertTrue(lines[0].startswith("heddle"), lines[0])
    test.assertEqual(run.stdout, b"", run.args[1:])
    for word in words:
        test.assertIn(word, lines[0])
    return lines[0]


def without_sanitizer():
    """Skips what the address sanitizer, which needs memory, a process and files for itself, cannot do."""
    if "ASAN_OPTIONS" in os.environ:
        raise unittest.SkipTest("a sanitizer takes more than the limit for itself")


# ---- models ----

def model(name):
    """A real model in its normal place, fetched if it is not there; skips where that is impossible."""
    try:
        run = attempt("pull", name, timeout=600)
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest(f"{name} could not be pulled in 10 minutes") from None
    if run.returncode:
        raise unittest.SkipTest(f"{name} could not be pulled: {' '.join(complaint(run))[-300:]}")
    return name


def tiny(path, **options):
    """A random GGUF: write_tiny_gguf's keys, such as heads=5, weights='q4_0'."""
    words = [f"{key}={value}" for key, value in options.items()]
    subprocess.run([os.path.join(BIN, "write_tiny_gguf"), path, *words], check=True)
    return path


def targets():
    """The targets whose code this CPU can run."""
    flags = set()
    with open("/proc/cpuinfo", encoding="utf8") as file:
        for line in file:
            if line.startswith("flags"):
                flags = set(line.split(":")[1].split())
                break
    return [name for name, needed in TARGETS.items() if flags.issuperset(needed)]


def write_manifest(plan, manifest):
    """A changed manifest as a plan's own would be: the text ends with the SHA-256 of what stands before it."""
    text = json.dumps({key: value for key, value in manifest.items() if key != "check"}, indent=1).removesuffix("\n}")
    with open(os.path.join(plan, "manifest.json"), "w", encoding="utf8") as file:
        file.write(f'{text},\n "check": "{hashlib.sha256(text.encode()).hexdigest()}"\n}}\n')


# ---- logits ----

def evaluate(plan, out, *options, text=TEXT, environment=None):
    """`heddle eval --logits`; the report, with the hash of the file."""
    report = json.loads(heddle("eval", plan, "--text", text, "--logits", out, "--json", *options, environment=environment))
    report["hash"] = file_hash(out)
    return report


def file_hash(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def evaluated_hash(plan, out, *options, text=TEXT):
    """The hash of what eval writes; the file, which may be gigabytes, is gone at once."""
    try:
        return evaluate(plan, out, *options, text=text)["hash"]
    finally:
        for name in (out, out + ".tokens.json"):
            if os.path.exists(name):
                os.unlink(name)


class Npy:
    """Rows of an f32 matrix, read one by one."""

    def __init__(self, path):
        self.file = open(path, "rb")
        if self.file.read(8) != b"\x93NUMPY\x01\x00":
            raise AssertionError(f"{path} is no npy file of version 1.0")
        length = struct.unpack("<H", self.file.read(2))[0]
        header = self.file.read(length).decode()
        self.begin = 10 + length
        if "'descr': '<f4'" not in header or "'fortran_order': False" not in header or self.begin % 64:
            raise AssertionError(header)
        self.rows, self.columns = (int(n) for n in re.search(r"\((\d+), (\d+)\)", header).groups())
        if os.fstat(self.file.fileno()).st_size != self.begin + 4 * self.rows * self.columns:
            raise AssertionError(f"{path} is shorter or longer than its shape")

    def row(self, index):
        self.file.seek(self.begin + 4 * index * self.columns)
        return struct.unpack(f"<{self.columns}f", self.file.read(4 * self.columns))

    def close(self):
        self.file.close()


# ---- servers ----

class Server:
    """`heddle serve` on a free port, or where `grpc` says; ends with stop(). `line` is what it says when it serves, `name` and
    `address` are in it."""

    def __init__(self, *arguments, environment=None, seconds=120, grpc="127.0.0.1:0"):
        env = None if environment is None else dict(os.environ, **environment)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([HEDDLE, "serve", *[str(a) for a in arguments], "--grpc", grpc], env=env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        _processes.append(self.process)
        signal.signal(signal.SIGALRM, lambda *_: self.process.kill())
        signal.alarm(seconds)
        self.line = self.process.stdout.readline().decode()
        signal.alarm(0)
        found = re.fullmatch(r"serving (.*) on (\S+) with \d+ ranks?\n", self.line)
        if not found:
            raise AssertionError(f"serve said {self.line!r}\n{self.messages()}")
        self.name, self.address = found.groups()

    def messages(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def family(self):
        return descendants(self.process.pid)

    def ranks(self):
        """Process ids of the ranks (the guard, also a heddle-worker, is none)."""
        return sorted(pid for pid, line in self.family().items()
                      if line and line[0].endswith("heddle-worker") and "--guard" not in line)

    def stop(self, seconds=20):
        """SIGTERM; the exit status, or None when it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self.process.stdout.close()
            self.log.close()


def descendants(root):
    """A process and all below it, as {pid: command line}."""
    parents, lines = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf8", errors="replace") as file:
                fields = file.read().rpartition(") ")[2].split()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                lines[int(pid)] = file.read().decode(errors="replace").split("\0")
            parents[int(pid)] = (int(fields[1]), fields[0])
        except OSError:
            continue
    found = {root}
    while True:
        more = {pid for pid, (parent, state) in parents.items() if parent in found and state != "Z"} - found
        if not more:
            return {pid: lines.get(pid, []) for pid in found}
        found |= more


def alive(pids):
    """Which of the processes still run (zombies do not)."""
    left = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf8", errors="replace") as file:
                if file.read().rpartition(") ")[2][0] != "Z":
                    left.append(pid)
        except OSError:
            pass
    return left


def grpcurl():
    """The path of grpcurl; skips without it."""
    for path in (shutil.which("grpcurl"), os.path.expanduser("~/go/bin/grpcurl"), "/root/go/bin/grpcurl", "/usr/local/bin/grpcurl"):
        if path and os.access(path, os.X_OK):
            return path
    raise unittest.SkipTest("grpcurl is not installed: go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3")


def call(address, method, request, check=True):
    """A unary or streaming call through grpcurl; stdout, or (status, all output) with check=False."""
    run = subprocess.run([grpcurl(), "-plaintext", "-max-msg-sz", "67108864", "-d", "@", address, method],
                         input=json.dumps(request).encode(), capture_output=True, timeout=120)
    if not check:
        return run.returncode, (run.stdout + run.stderr).decode(errors="replace")
    if run.returncode:
        raise AssertionError(f"{method}: {run.stderr.decode(errors='replace')}")
    return json.loads(run.stdout)


def patience():
    """How much longer things may take here than on a quiet machine."""
    return max(1.0, min(4.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
