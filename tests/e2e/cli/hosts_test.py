"""hosts_test.py - `heddle run --hostfile` over two hosts: network namespaces joined by a bridge, which only root may make.

Nothing in Heddle knows that these are no real hosts: Open MPI is told by its own environment variables which agent stands for ssh
(agent.sh) and which network to use.
"""
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
from harness import folder, heddle, tiny


class TwoHosts(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            self.skipTest("network namespaces need root and the ip command")
        mark = f"{os.getpid() % 100000:05d}"
        self.bridge = "hb" + mark
        self.names = [f"hd{mark}a", f"hd{mark}b"]
        self.network = f"10.77.{os.getpid() % 250}"
        self.addCleanup(self.remove)

        def ip(*words):
            run = subprocess.run(["ip", *words], capture_output=True, text=True)
            if run.returncode:
                self.skipTest(f"network namespaces are not allowed here: ip {' '.join(words)}: {run.stderr.strip()}")

        ip("link", "add", self.bridge, "type", "bridge")
        ip("link", "set", self.bridge, "up")
        for i, name in enumerate(self.names, 1):
            outer, inner = f"{self.bridge}{i}"[:15], "eth0"
            ip("netns", "add", name)
            ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
            ip("link", "set", outer, "master", self.bridge, "up")
            ip("-n", name, "addr", "add", f"{self.network}.{i}/24", "dev", inner)
            ip("-n", name, "link", "set", inner, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def remove(self):
        for name in self.names:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            for pid in pids:
                subprocess.run(["kill", "-9", pid], capture_output=True)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)

    def processes(self):
        """Of both hosts."""
        return [int(pid) for name in self.names
                for pid in harness.alive(subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split())]

    def hostfile(self, place):
        path = os.path.join(place, "hosts")
        with open(path, "w", encoding="utf8") as file:
            for i in (1, 2):
                file.write(f"{self.network}.{i} slots=2\n")
        return path

    def on_first_host(self, *arguments, extra=None):
        """A heddle command typed on the first host, run to its end."""
        words, environment = self.words(arguments, extra)
        return subprocess.run(words, env=environment, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)

    def words(self, arguments, extra=None):
        environment = dict(
            os.environ, HEDDLE_TEST_NAMESPACES=" ".join(f"{self.network}.{i}={name}" for i, name in enumerate(self.names, 1)),
            OMPI_MCA_plm_rsh_agent=os.path.join(harness.HERE, "agent.sh"), OMPI_MCA_btl_tcp_if_include=f"{self.network}.0/24",
            OMPI_MCA_oob_tcp_if_include=f"{self.network}.0/24", OMPI_MCA_rmaps_base_mapping_policy="node", **(extra or {}))
        own = ""
        if "HEDDLE_TEST_OWN" in environment:
            place = os.path.join(environment["HEDDLE_TEST_OWN"], self.names[0])
            own = f"mount --bind {place}/tmp /tmp; mount --bind {place}/shm /dev/shm; "
        words = ["ip", "netns", "exec", self.names[0], "unshare", "-u", "-m", "sh", "-c", f'hostname {self.names[0]}; {own}exec "$@"', "sh",
                 harness.HEDDLE, *[str(a) for a in arguments]]
        return words, environment


class Answers(TwoHosts):
    def test_the_same_tokens_as_on_one_host(self):
        place = folder()
        plan = os.path.join(place, "tiny.plan")
        heddle("compile", tiny(os.path.join(place, "tiny.gguf"), weights="q4_0", heads=6, kv_heads=2, width=96, layers=3), "-o", plan)
        hostfile = self.hostfile(place)
        request = ["-p", "The wheel turned over in the black water", "--raw", "-n", 30, "--json", "--logprobs", 2]
        expected = json.loads(heddle("run", plan, *request))["tokens"]
        for ranks in (2, 3):
            run = self.on_first_host("run", plan, *request, "--hostfile", hostfile, "--ranks", ranks, "--threads", 1, "--verbose")
            error = run.stderr.decode(errors="replace")
            self.assertEqual(run.returncode, 0, error[-3000:])
            self.assertEqual(json.loads(run.stdout)["tokens"], expected)

        # The ranks were on both: without the plan there, the second host is named.
        run = self.on_first_host("run", plan, *request, "--hostfile", hostfile, "--ranks", 2, "--threads", 1,
                                 extra={"HEDDLE_TEST_HIDE": plan, "HEDDLE_TEST_HIDE_ON": self.names[1]})
        lines = harness.complaint(run)
        self.assertEqual(run.returncode, 1, lines)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(self.names[1], lines[0])
        end = time.monotonic() + 10  # the other host's launcher hears last that it is over
        while self.processes() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.processes(), [])


class Ends(TwoHosts):
    """A server over two hosts, each with a /tmp and a /dev/shm of its own."""

    def setUp(self):
        super().setUp()
        self.place = tempfile.mkdtemp(prefix="heddle-e2e-", dir="/var/tmp")  # neither of the two is over it
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        self.own = os.path.join(self.place, "own")
        for name in self.names:
            for folder_ in ("tmp", "shm"):
                os.makedirs(os.path.join(self.own, name, folder_))
        self.plan = os.path.join(self.place, "say.plan")
        heddle("compile", say_model.write(os.path.join(self.place, "say.gguf"), say=[66, 67], context=65536), "-o", self.plan)

    def start(self, *command):
        """The child, once its ranks answer or compute; {name of host: process ids of it}."""
        words, environment = self.words([*command, "--hostfile", self.hostfile(self.place), "--ranks", "2", "--threads", "1"],
                                        {"HEDDLE_TEST_OWN": self.own, "TMPDIR": "/tmp", "XDG_RUNTIME_DIR": ""})
        child = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        self.assertTrue(child.stdout.read(1))
        return child

    def pids(self, host, name):
        """Of a program on a host."""
        found = []
        for pid in subprocess.run(["ip", "netns", "pids", self.names[host]], capture_output=True, text=True).stdout.split():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().split(b"\0")
            except OSError:
                continue
            if os.path.basename(line[0]).decode() == name and b"--guard" not in line:
                found.append(int(pid))
        return found

    def nothing_stays(self, seconds):
        end = time.monotonic() + seconds * harness.patience()
        while time.monotonic() < end and (harness.tree(self.own) != self.empty() or self.processes()):
            time.sleep(0.05)
        self.assertEqual(harness.tree(self.own), self.empty())
        self.assertEqual(self.processes(), [])

    def empty(self):
        return sorted(entry for name in self.names for entry in (name, f"{name}/shm", f"{name}/tmp"))

    def test_nothing_stays_on_either_host_after_any_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL):
            with self.subTest(number):
                child = self.start("run", self.plan, "--raw", "-p", "a", "-n", "60000")
                child.send_signal(number)
                child.wait(timeout=60)
                self.nothing_stays(5)

    def test_nothing_stays_on_either_host_after_the_death_of_any_process(self):
        for host, name in ((0, "heddle-worker"), (1, "heddle-worker"), (0, "mpirun"), (1, "orted"), (0, "heddle-keeper")):
            with self.subTest(f"{name} of host {host}"):
                child = self.start("run", self.plan, "--raw", "-p", "a", "-n", "60000")
                victims = self.pids(host, name)
                self.assertTrue(victims)
                for pid in victims:
                    os.kill(pid, signal.SIGKILL)
                if name == "heddle-keeper":  # is replaced, and the run goes on
                    time.sleep(0.5)
                    self.assertIsNone(child.poll())
                    child.kill()
                child.wait(timeout=60)
                self.nothing_stays(20)

    def stop(self, number, pids):
        for pid in pids:
            os.kill(pid, number)

    def test_a_stopped_rank_of_another_host_is_noticed_as_soon_as_one_of_this_host(self):
        for host in (0, 1):
            with self.subTest(host):
                child = self.start("run", self.plan, "--raw", "-p", "a", "-n", "60000")
                self.stop(signal.SIGSTOP, self.pids(host, "heddle-worker"))
                begin = time.monotonic()
                _, error = child.communicate(timeout=60)
                self.assertLess(time.monotonic() - begin, 5 + 4 * harness.patience())
                self.assertEqual(child.returncode, 1)
                self.assertIn(f"rank {host} (process".encode(), error)
                self.assertIn(b"was stopped for 5 s", error)
                if host == 1:
                    self.assertIn(f"on host {self.names[1]}".encode(), error)
                self.nothing_stays(20)

    def test_everything_suspended_restarts_nothing(self):
        child = self.start("run", self.plan, "--raw", "-p", "a", "-n", "60000", "--context", "65536")
        everything = self.processes()
        self.stop(signal.SIGSTOP, everything)
        time.sleep(8)
        self.stop(signal.SIGCONT, everything)
        for _ in range(100):
            self.assertTrue(child.stdout.read(100))
        time.sleep(6)  # as long as a stopped rank is put up with
        self.assertIsNone(child.poll())
        child.terminate()
        child.wait(timeout=60)
        self.nothing_stays(5)


if __name__ == "__main__":
    harness.main()
