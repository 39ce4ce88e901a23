"""settings_test.py - variables that libraries below us read, and limits of the shell: with each of them the answer is the same, or one
line says what to change. inherited_test.py has what a process inherits otherwise."""
import os
import pty
import resource
import select
import signal
import subprocess
import time
import unittest

import harness
import say_model
from harness import Server, attempt, folder, heddle, patience, refused

NOWHERE = "http://127.0.0.1:9"  # nobody listens there

OPENMP = [
    *({"OMP_NUM_THREADS": value} for value in ("", "0", "-1", "1", "many", "4,2,1", "99999999999999999999", " ")),
    *({"OMP_THREAD_LIMIT": value} for value in ("1", "0", "")),
    *({"OMP_STACKSIZE": value} for value in ("1k", "1T", "x")), {"KMP_STACKSIZE": "1k"}, {"KMP_STACKSIZE": "1T"},
    {"OMP_DYNAMIC": "true"}, {"OMP_NESTED": "true"}, {"OMP_MAX_ACTIVE_LEVELS": "0"}, {"OMP_SCHEDULE": "nonsense,-3"},
    {"OMP_PROC_BIND": "close", "OMP_PLACES": "{0}"}, {"OMP_PROC_BIND": "nonsense"}, {"OMP_PLACES": "{99999}:0"}, {"OMP_PLACES": "{"},
    {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "passive"}, {"KMP_BLOCKTIME": "infinite"}, {"KMP_BLOCKTIME": "-7"},
    {"KMP_LIBRARY": "serial"}, {"KMP_LIBRARY": "turnaround"}, {"KMP_ALL_THREADS": "1"}, {"KMP_DEVICE_THREAD_LIMIT": "1"},
    {"KMP_AFFINITY": "verbose,compact"}, {"KMP_AFFINITY": "nonsense"}, {"KMP_HW_SUBSET": "99s"}, {"GOMP_CPU_AFFINITY": "77"},
    {"KMP_CPUINFO_FILE": "/nowhere"}, {"KMP_TOPOLOGY_METHOD": "hwloc"}, {"KMP_SETTINGS": "1"}, {"KMP_VERSION": "1"},
    {"OMP_DISPLAY_ENV": "verbose"}, {"OMP_DISPLAY_AFFINITY": "true"}, {"OMP_TOOL": "enabled", "OMP_TOOL_LIBRARIES": "/nowhere.so"},
    {"OMP_TOOL": "nonsense"}, {"OMP_TARGET_OFFLOAD": "mandatory"}, {"OMP_CANCELLATION": "true"}, {"KMP_FORKJOIN_BARRIER": "-1,-1"},
    {"KMP_GTID_MODE": "1"}, {"KMP_HANDLE_SIGNALS": "true"}, {"KMP_DUPLICATE_LIB_OK": "false"}, {"LIBOMP_NUM_HIDDEN_HELPER_THREADS": "99999"},
]

MPI = [
    *({f"OMPI_MCA_{name}": value} for name, value in (
        ("btl", "self"), ("btl", "nosuch"), ("btl", "^tcp"), ("pml", "cm"), ("pml", "nosuch"), ("plm", "nosuch"), ("plm", "slurm"),
        ("plm_rsh_agent", "/nowhere/ssh"), ("osc", "nosuch"), ("coll", "nosuch"), ("ras", "nosuch"), ("oob", "nosuch"),
        ("rmaps_base_mapping_policy", "ppr:1:node"), ("rmaps_base_oversubscribe", "0"), ("hwloc_base_binding_policy", "core"),
        ("orte_tmpdir_base", "/nowhere"), ("orte_default_hostfile", "/nowhere"), ("orte_base_help_aggregate", "0"),
        ("orte_abort_timeout", "1000"), ("mpi_abort_delay", "-1"), ("mpi_show_mca_params", "all"), ("mpi_yield_when_idle", "0"),
        ("oob_tcp_if_include", "nosuch0"), ("btl_tcp_if_include", "nosuch0"), ("oob_tcp_if_exclude", "lo"), ("btl_base_verbose", "100"),
        ("mca_base_component_path", "/nowhere"), ("mca_base_param_files", "/nowhere"), ("shmem", "nosuch"), ("shmem", "posix"),
        ("rmaps_base_no_schedule_local", "1"), ("orte_launch_agent", "/nowhere/orted"), ("mpi_param_check", "x"))),
    {"PMIX_MCA_gds": "nosuch"}, {"PMIX_MCA_psec": "nosuch"}, {"PMIX_MCA_ptl": "nosuch"}, {"PRTE_MCA_plm": "nosuch"},
    {"PRTE_MCA_prte_tmpdir_base": "/nowhere"}, {"HWLOC_SYNTHETIC": "node:2 core:3 pu:2"}, {"HWLOC_XMLFILE": "/nowhere"},
    {"UCX_TLS": "nosuch", "UCX_LOG_LEVEL": "trace"}, {"FI_PROVIDER": "nosuch"}, {"EVENT_NOEPOLL": "1", "EVENT_NOPOLL": "1"},
]

GRPC = [
    *({"GRPC_VERBOSITY": value} for value in ("debug", "none", "nonsense")), {"GRPC_TRACE": "all"}, {"GRPC_TRACE": "nonsense"},
    *({"GRPC_DNS_RESOLVER": value} for value in ("native", "ares", "nonsense")),
    *({"GRPC_POLL_STRATEGY": value} for value in ("poll", "none", "nonsense", "")),
    {"GRPC_ENABLE_FORK_SUPPORT": "1"}, {"GRPC_EXPERIMENTS": "nonsense,tcp_frame_size_tuning"}, {"GRPC_ABORT_ON_LEAKS": "1"},
    {"GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": "-1"}, {"GRPC_XDS_BOOTSTRAP": "/nowhere"}, {"GRPC_NOT_USE_SYSTEM_SSL_ROOTS": "x"},
    *({name: NOWHERE, "no_proxy": ""} for name in ("http_proxy", "grpc_proxy", "https_proxy", "HTTP_PROXY", "all_proxy")),
    {"http_proxy": "nonsense://", "no_proxy": "*"},
]

C_LIBRARY = [
    {"MALLOC_PERTURB_": "165"}, {"MALLOC_CHECK_": "3"}, {"MALLOC_ARENA_MAX": "1"}, {"MALLOC_MMAP_THRESHOLD_": "0"},
    {"MALLOC_TOP_PAD_": "x"}, {"MALLOC_TRIM_THRESHOLD_": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.perturb=90"},
    {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-AVX512F_Usable"}, {"GLIBC_TUNABLES": "nonsense"},
    {"LC_ALL": "nonsense"}, {"LANG": "tr_TR.ISO-8859-9"}, {"LC_ALL": "ja_JP.SJIS"}, {"LC_ALL": ""}, {"LANGUAGE": "xx"},
    {"TZ": "nonsense/zone"}, {"TZ": ":/dev/zero"}, {"TZ": ""}, {"LD_BIND_NOW": "1"}, {"COLUMNS": "0", "LINES": "-1"}, {"TERM": ""},
    {"LIBRARY_PATH": "/nowhere", "LD_RUN_PATH": "/nowhere", "LDEMULATION": "nonsense", "COMPILER_PATH": "/nowhere"},
    {"RAYON_NUM_THREADS": "0"}, {"TOKENIZERS_PARALLELISM": "nonsense"}, {"RUST_BACKTRACE": "full"}, {"RUST_MIN_STACK": "x"},
    {"IFS": "/", "ENV": "/nowhere", "BASH_ENV": "/nowhere", "CDPATH": "/"},
]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = say_model.write(os.path.join(cls.place, "say.gguf"), say=[66, 67], template="{{ messages[-1].content }}")
        cls.plan = os.path.join(cls.place, "say.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)

    def run_heddle(self, *arguments, environment=None, prepare=None, wrapper=(), seconds=120):
        return subprocess.run([*wrapper, harness.HEDDLE, *[str(a) for a in arguments]], env=dict(os.environ, **(environment or {})),
                              capture_output=True, timeout=seconds, preexec_fn=prepare, stdin=subprocess.DEVNULL)

    def says_aba(self, *arguments, quiet=True, **how):
        run = self.run_heddle("run", *arguments, "--raw", "-p", "a", "-n", "3", "--threads", "2", **how)
        self.assertEqual((run.returncode, run.stdout), (0, b"ABA\n"), run.stderr.decode(errors="replace")[-2000:])
        if quiet:
            self.assertLessEqual(run.stderr.count(b"\n"), 1, run.stderr.decode(errors="replace")[-2000:])


class Variables(Case):
    def test_openmp(self):
        for variables in OPENMP:
            with self.subTest(variables):
                self.says_aba(self.plan, environment=variables)
        for variables in ({"OMP_NUM_THREADS": ""}, {"OMP_THREAD_LIMIT": "1"}, {"KMP_STACKSIZE": "1T"}, {"KMP_LIBRARY": "serial"}):
            with self.subTest(variables):
                self.says_aba(self.plan, "--ranks", 2, environment=variables)
                report = heddle("bench", self.plan, "-p", 4, "-n", 4, "-r", 1, "--threads", 2, environment=variables)
                self.assertIn("2 threads", report)

    def test_mpi_on_this_host(self):
        for variables in MPI:
            with self.subTest(variables):
                self.says_aba(self.plan, "--ranks", 2, environment=variables)

    def test_mpi_settings_in_the_home_folder(self):
        home = folder()
        os.mkdir(os.path.join(home, ".openmpi"))
        with open(os.path.join(home, ".openmpi", "mca-params.conf"), "w", encoding="utf8") as file:
            file.write("plm = nosuchlauncher\n")
        self.says_aba(self.plan, "--ranks", 2, environment={"HOME": home})

    def test_grpc(self):
        for variables in GRPC:
            with self.subTest(variables):
                loud = "GRPC_VERBOSITY" in variables or "GRPC_TRACE" in variables
                self.says_aba(self.plan, "--ranks", 2, environment=variables, quiet=not loud)
                for address in ("127.0.0.1:0", "localhost:0", f"unix:{self.place}/s"):
                    server = Server(self.plan, "--threads", 1, grpc=address, environment=variables)
                    self.addCleanup(server.stop)
                    ask = attempt("ask", server.address, "--raw", "-p", "a", "-n", "3", environment=variables)
                    self.assertEqual((ask.returncode, ask.stdout), (0, b"ABA\n"), ask.stderr.decode(errors="replace")[-1000:])
                    self.assertEqual(server.stop(), 0, server)

    def test_the_c_library(self):
        for variables in C_LIBRARY:
            with self.subTest(variables):
                self.says_aba(self.gguf, environment=dict(variables, XDG_CACHE_HOME=folder()), quiet=False)
                self.says_aba(self.plan, "--ranks", 2, environment=variables)

    def test_terminals(self):
        for variables in ({"TERM": ""}, {"TERM": "dumb"}, {"TERM": "nonsense"}, {"TERM": "xterm", "COLUMNS": "0", "LINES": "0"}):
            with self.subTest(variables):
                pid, terminal = pty.fork()
                if pid == 0:
                    os.execve(harness.HEDDLE, [harness.HEDDLE, "run", self.plan, "-n", "3", "--temperature", "0"], dict(os.environ, **variables))
                seen, end, typed = b"", time.monotonic() + 60 * patience(), False
                while b"> " not in seen.partition(b"ABA")[2] and time.monotonic() < end:  # the prompt after the answer
                    if select.select([terminal], [], [], 0.1)[0]:
                        seen += os.read(terminal, 65536)
                    if b"> " in seen and not typed:
                        typed = os.write(terminal, b"a\r") > 0
                self.assertIn(b"ABA", seen)
                os.write(terminal, b"\x04")
                self.assertEqual(self.ended(pid, terminal), 0)

    @staticmethod
    def ended(pid, terminal):
        """Its status; the terminal is read on, as it may wait for that."""
        end = time.monotonic() + 30 * patience()
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                os.close(terminal)
                return os.waitstatus_to_exitcode(status)
            try:
                if select.select([terminal], [], [], 0.05)[0]:
                    os.read(terminal, 65536)
            except OSError:  # it closed its side
                time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return None


def limit(what, soft, hard=None):
    return lambda: resource.setrlimit(what, (soft, soft if hard is None else hard))


class Limits(Case):
    """Each of the command lines answers or refuses in one line that names the limit; none hangs, crashes or says it in other words."""

    def answers_or_says(self, prepare, *words, wrapper=(), bench=True):
        """For one rank, two ranks, a compilation and a server: which of them answered."""
        commands = {"plan": ["run", self.plan, "--raw", "-p", "a", "-n", "3"], "model": ["run", self.gguf, "--raw", "-p", "a", "-n", "3"],
                    "ranks": ["run", self.plan, "--raw", "-p", "a", "-n", "3", "--ranks", "2"],
                    "serve": ["serve", self.plan, "--grpc", "127.0.0.1:0"]}
        answered = set()
        for name, arguments in commands.items():
            if name == "serve":
                run = self.started(arguments, prepare, wrapper)
            else:
                run = self.run_heddle(*arguments, "--threads", 2, prepare=prepare, wrapper=wrapper,
                                      environment={"XDG_CACHE_HOME": self.cache()})
            if run.returncode == 0 and (run.stdout == b"ABA\n" or name == "serve"):
                answered.add(name)
                continue
            line = refused(self, run, status=1)
            self.assertTrue(any(word in line for word in words), f"{name}: {line}")
        return answered

    def cache(self):
        path = folder()
        os.chmod(path, 0o777)
        return path

    def started(self, arguments, prepare, wrapper):
        child = subprocess.Popen([*wrapper, harness.HEDDLE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=prepare)
        self.addCleanup(child.stdout.close)
        first = child.stdout.readline()
        if first.startswith(b"serving"):
            address = first.split()[3].decode()
            self.assertEqual(heddle("ask", address, "--raw", "-p", "a", "-n", "3"), "ABA\n")
            child.send_signal(signal.SIGTERM)
        out, error = child.communicate(timeout=60)
        return subprocess.CompletedProcess(child.args, child.returncode, out, error)

    def test_stacks(self):
        for soft, hard in ((64 << 10, None), (1 << 20, None), (64 << 10, resource.RLIM_INFINITY),
                           (resource.RLIM_INFINITY, resource.RLIM_INFINITY)):
            with self.subTest(f"ulimit -s {soft}, {hard}"):
                answered = self.answers_or_says(limit(resource.RLIMIT_STACK, soft, hard), "ulimit -s")
                if hard is not None:  # it can be raised; otherwise by some of the administrators only
                    self.assertEqual(answered, {"plan", "model", "ranks", "serve"})

    def test_a_stack_that_cannot_be_raised(self):
        self.as_nobody()
        for kilobytes in (128, 1024):
            with self.subTest(kilobytes):
                answered = self.answers_or_says(limit(resource.RLIMIT_STACK, kilobytes << 10), "ulimit -s", wrapper=self.as_nobody())
                self.assertEqual(answered, set())

    def as_nobody(self):
        """Words before a command that make it another user's, whom limits on processes bind."""
        if os.geteuid() != 0:
            return []
        for path in [self.place, self.plan, *(os.path.join(self.place, name) for name in harness.tree(self.place))]:
            os.chmod(path, os.stat(path).st_mode | 0o755)
        words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]
        run = subprocess.run([*words, harness.HEDDLE, "inspect", self.plan], capture_output=True)
        if run.returncode:
            self.skipTest("the build or the test's folder cannot be read by another user")
        return words

    def test_processes(self):
        words = self.as_nobody()
        for most in (1, 8, 40):
            with self.subTest(most):
                if most == 1:
                    harness.without_sanitizer()  # whose search for leaks is a process
                answered = self.answers_or_says(limit(resource.RLIMIT_NPROC, most), "ulimit -u", wrapper=words)
                self.assertLessEqual(answered, {"plan", "model"} if most < 40 else {"plan", "model", "ranks", "serve"})
        self.assertEqual(self.answers_or_says(limit(resource.RLIMIT_NPROC, 400), wrapper=words), {"plan", "model", "ranks", "serve"})

    def test_addresses(self):
        harness.without_sanitizer()
        for megabytes in (100, 200, 800):
            with self.subTest(f"ulimit -v {megabytes << 10}"):
                self.answers_or_says(limit(resource.RLIMIT_AS, megabytes << 20), "ulimit -v", "memory", "Cannot allocate")

    def test_sizes_of_files(self):
        for bytes_ in (0, 65536):
            with self.subTest(bytes_):
                answered = self.answers_or_says(limit(resource.RLIMIT_FSIZE, bytes_), "File too large", "ulimit -f")
                self.assertIn("plan", answered)

    def test_files(self):
        for most in (8, 16, 32, 256):
            with self.subTest(most):
                if most == 8:
                    harness.without_sanitizer()  # which sees by way of a pipe whether memory is there
                answered = self.answers_or_says(limit(resource.RLIMIT_NOFILE, most), "ulimit -n", "Too many open files")
                if most == 256:
                    self.assertEqual(answered, {"plan", "model", "ranks", "serve"})

    def test_other_limits_and_priorities(self):
        for name, prepare in (("core", limit(resource.RLIMIT_CORE, 0)), ("locked", limit(resource.RLIMIT_MEMLOCK, 0)),
                              ("pending", limit(resource.RLIMIT_SIGPENDING, 0)), ("queues", limit(resource.RLIMIT_MSGQUEUE, 0)),
                              ("nice", lambda: os.nice(19)), ("idle", lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))),
                              ("batch", lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)))):
            with self.subTest(name):
                self.assertEqual(self.answers_or_says(prepare), {"plan", "model", "ranks", "serve"})


if __name__ == "__main__":
    harness.main()
