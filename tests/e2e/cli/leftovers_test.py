"""leftovers_test.py - after any end of any process, by any signal, nothing stays in TMPDIR or /dev/shm, and no process."""
import os
import signal
import subprocess
import sys
import time
import unittest

import harness
import say_model
from harness import Server, alive, attempt, folder, heddle, patience, tree


class Leftovers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.plan = os.path.join(cls.place, "say.plan")
        heddle("compile", say_model.write(os.path.join(cls.place, "say.gguf"), say=[66, 67], context=65536), "-o", cls.plan)

    def setUp(self):
        self.temporary = os.path.join(folder(), "tmp")
        os.mkdir(self.temporary)
        self.environment = {"TMPDIR": self.temporary, "XDG_RUNTIME_DIR": ""}
        self.before = self.places()

    def places(self):
        """What lies where temporary things may lie. Other tests run beside this one: theirs have other names, or go soon."""
        names = lambda path: {os.path.join(path, name) for name in os.listdir(path)
                              if name.startswith(("__KMP", "vader", "osc_", "heddle-link", "ompi.", "pmix", "sem.", "openmpi"))}
        return names("/dev/shm") | names("/tmp")

    def nothing_stays(self, processes=(), seconds=2.0):
        end = time.monotonic() + seconds * patience()
        while time.monotonic() < end and (tree(self.temporary) or self.places() - self.before or alive(processes)):
            time.sleep(0.05)
        self.assertEqual(tree(self.temporary), [])
        self.assertEqual(self.places() - self.before, set())
        self.assertEqual(alive(processes), [])

    def serve(self, ranks=2):
        server = Server(self.plan, "--ranks", ranks, "--threads", 1, environment=self.environment)
        self.addCleanup(server.stop)
        return server

    def find(self, server, name):
        return [pid for pid, line in server.family().items() if line and os.path.basename(line[0]) == name]

    def test_killed_servers(self):
        for ranks in (1, 2):
            with self.subTest(ranks):
                server = self.serve(ranks)
                family = server.family()
                self.assertTrue(tree(self.temporary))
                server.process.kill()
                server.process.wait()
                self.nothing_stays(family)

    def test_a_server_that_ends_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            family = server.family()
            server.process.send_signal(number)
            self.assertEqual(server.process.wait(timeout=30), 0)
            self.nothing_stays(family)

    def test_killed_members_of_a_group_leave_what_the_next_group_needs(self):
        server = self.serve(3)
        usual = [name.split("/", 1)[1:] for name in tree(self.temporary)]
        shape = lambda: sorted(name.split("/")[1] for name in tree(self.temporary) if name.count("/") == 1)
        self.assertEqual(shape(), ["e1", "s"], usual)
        victims = [lambda: server.ranks()[:1], lambda: server.ranks()[1:2], lambda: server.ranks()[1:], lambda: self.find(server, "mpirun"),
                   lambda: server.ranks() + self.find(server, "mpirun")]
        for epoch, choose in enumerate(victims, 2):
            chosen = choose()
            self.assertTrue(chosen)
            for pid in chosen:
                os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 30 * patience()
            while time.monotonic() < end and (f"e{epoch}" not in shape() or len(server.ranks()) < 3):
                time.sleep(0.05)
            while attempt("ask", server.address, "--raw", "-p", "a", "-n", "2").returncode and time.monotonic() < end:
                time.sleep(0.05)
            self.assertEqual(shape(), [f"e{epoch}", "s"])
            self.assertEqual(self.places() - self.before, set())
        self.assertEqual(server.stop(), 0)
        self.nothing_stays()

    def test_a_killed_server_and_launcher(self):
        server = self.serve()
        family = server.family()
        for pid in [server.process.pid] + self.find(server, "mpirun"):
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
        self.nothing_stays(family)

    def test_a_stopped_group_of_a_killed_server_is_ended(self):
        server = self.serve()
        family = server.family()
        for pid in self.find(server, "mpirun") + server.ranks():
            os.kill(pid, signal.SIGSTOP)
        server.process.kill()
        server.process.wait()
        self.nothing_stays(family, seconds=12)

    def test_a_keeper_that_is_killed_is_replaced(self):
        server = self.serve()
        for _ in range(2):
            old = self.find(server, "heddle-keeper")
            self.assertEqual(len(old), 1)
            os.kill(old[0], signal.SIGKILL)
            end = time.monotonic() + 10 * patience()
            while time.monotonic() < end and (self.find(server, "heddle-keeper") or old) == old:
                time.sleep(0.02)
        self.assertEqual(len(self.find(server, "heddle-keeper")), 1)
        family = server.family()
        server.process.kill()
        server.process.wait()
        self.nothing_stays(family)

    def test_whoever_only_names_the_folder_is_left_alone(self):
        server = self.serve()
        link = os.path.join(self.temporary, os.listdir(self.temporary)[0], "s")
        onlooker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", link])
        self.addCleanup(onlooker.wait)
        self.addCleanup(onlooker.kill)
        first = server.ranks()
        os.kill(first[0], signal.SIGKILL)
        end = time.monotonic() + 30 * patience()
        while time.monotonic() < end and (alive(first) or len(server.ranks()) < 2):
            time.sleep(0.05)
        self.assertEqual(len(server.ranks()), 2, server.messages())
        family = server.family()
        server.process.kill()
        server.process.wait()
        self.nothing_stays(family)  # sooner than the keeper's patience ends
        self.assertIsNone(onlooker.poll())

    def test_what_is_killed_all_at_once_is_swept_by_the_next(self):
        server = self.serve()
        family = server.family()
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
        self.assertTrue(tree(self.temporary))
        run = attempt("run", self.plan, "--raw", "-p", "a", "-n", "2", "--ranks", "2", environment=self.environment)
        self.assertEqual((run.returncode, run.stdout), (0, b"AB\n"), run.stderr)
        self.nothing_stays(family)

    def test_runs_and_evaluations(self):
        text = os.path.join(self.place, "text.txt")
        with open(text, "w", encoding="utf8") as file:
            file.write("abcdefgh")
        for command in (["run", self.plan, "--raw", "-p", "a", "-n", "60000"], ["bench", self.plan, "-p", "4", "-n", "20000"]):
            for ranks in ("1", "2"):
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
                    with self.subTest(f"{command[0]} --ranks {ranks}, signal {number}"):
                        child = subprocess.Popen([harness.HEDDLE, *command, "--ranks", ranks, "--threads", "1"], stdout=subprocess.PIPE,
                                                 stderr=subprocess.PIPE, env=dict(os.environ, **self.environment))
                        os.read((child.stdout if command[0] == "run" else child.stderr).fileno(), 1)
                        child.send_signal(number)
                        child.communicate(timeout=60)
                        self.assertEqual(child.returncode, -number)
                        self.nothing_stays()
        heddle("eval", self.plan, "--text", text, "--ranks", "2", environment=self.environment)
        self.nothing_stays()

    def test_a_reader_that_goes_away(self):
        for ranks in ("1", "2"):
            child = subprocess.Popen([harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "-n", "60000", "--ranks", ranks],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **self.environment))
            self.assertEqual(child.stdout.read(1), b"A")
            child.stdout.close()
            self.assertEqual(child.wait(timeout=30), -signal.SIGPIPE)
            child.stderr.close()
            self.nothing_stays()


if __name__ == "__main__":
    harness.main()
