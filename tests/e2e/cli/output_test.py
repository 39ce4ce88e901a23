"""output_test.py - what a command prints arrives or is missed aloud: a full disk, a closed stdout and a reader that goes away. What is
written to by name may be a device, a pipe or a link, and stays what it is."""
import json
import os
import stat
import subprocess
import threading
import unittest

import harness
import say_model
from harness import Server, attempt, complaint, folder, heddle, tree


class Output(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = say_model.write(os.path.join(cls.place, "say.gguf"), say=[66, 11])  # "A" and a line's end
        cls.plan = os.path.join(cls.place, "say.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)
        cls.text = os.path.join(cls.place, "text.txt")
        with open(cls.text, "w", encoding="utf8") as file:
            file.write("abcdefgh")
        cls.cache = {"XDG_CACHE_HOME": os.path.join(cls.place, "cache"), "XDG_DATA_HOME": os.path.join(cls.place, "data")}

    def commands(self):
        plan = self.plan
        return [["--help"], ["--version"], [], ["run", "--help"], ["pull", "--list"], ["doctor"], ["doctor", "--json"],
                ["run", plan, "--raw", "-p", "a", "-n", "2"], ["run", plan, "--raw", "-p", "a", "-n", "2", "--json"],
                ["compile", self.gguf], ["compile", self.gguf, "--json"], ["compile", self.gguf, "--emit", "graph"], ["inspect", plan],
                ["inspect", plan, "--json"], ["inspect", plan, "--stage", "graph"], ["inspect", plan, "--diff", "graph", "fused"],
                ["eval", plan, "--text", self.text], ["eval", plan, "--text", self.text, "--json"],
                ["bench", plan, "-p", "4", "-n", "2", "-r", "1"], ["bench", plan, "-p", "4", "-n", "2", "-r", "1", "--profile"],
                ["bench", plan, "-p", "4", "-n", "2", "-r", "1", "--json"]]

    def missed(self, run, word):
        self.assertEqual(run.returncode, 1, run.args[1:])
        lines = [line for line in complaint(run) if not line.startswith(("  ", "already"))]
        self.assertEqual(len(lines), 1, run.args[1:])
        self.assertIn("standard output could not be written", lines[0])
        self.assertIn(word, lines[0])

    def run_to(self, arguments, **where):
        return subprocess.run([harness.HEDDLE, *arguments], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=120,
                              env=dict(os.environ, **self.cache), **where)

    def test_a_full_disk_is_said_by_every_command(self):
        with open("/dev/full", "wb") as full:
            for arguments in self.commands():
                with self.subTest(arguments):
                    self.missed(self.run_to(arguments, stdout=full), "No space left")

    def test_a_closed_stdout_is_said_by_every_command(self):
        for arguments in self.commands():
            with self.subTest(arguments):
                self.missed(self.run_to(arguments, preexec_fn=lambda: os.close(1)), "closed")

    def test_a_reader_that_goes_away_ends_the_program_quietly(self):
        for arguments in self.commands():
            for ignored in (False, True):
                with self.subTest(f"{arguments} {ignored}"):
                    reading, writing = os.pipe()
                    os.close(reading)
                    # Python ignores SIGPIPE and hands that on unless it restores signals.
                    run = self.run_to(arguments, stdout=writing, restore_signals=not ignored)
                    os.close(writing)
                    if ignored:
                        self.missed(run, "Broken pipe")
                    else:
                        self.assertEqual(run.returncode, -13)
                        self.assertNotIn(b"standard output", run.stderr)

    def test_a_long_answer_ends_with_its_reader(self):
        for options in ([], ["--ranks", "2"]):
            reading, writing = os.pipe()
            child = subprocess.Popen([harness.HEDDLE, "run", self.plan, "--raw", "-p", "a", "-n", "4000", *options], stdout=writing,
                                     stderr=subprocess.PIPE, restore_signals=False)
            os.close(writing)
            self.assertEqual(os.read(reading, 1), b"A")
            os.close(reading)
            _, error = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 1, error)
            self.assertEqual(error.count(b"\n"), 1, error)

    def test_ask_misses_nothing(self):
        server = Server(self.plan)
        try:
            for options in (["-n", "2"], ["-n", "1"], ["-n", "2", "--json"], ["-n", "50"]):
                arguments = ["ask", server.address, "--raw", "-p", "a", *options]
                with self.subTest(options):
                    with open("/dev/full", "wb") as full:
                        self.missed(self.run_to(arguments, stdout=full), "No space left")
                    self.missed(self.run_to(arguments, preexec_fn=lambda: os.close(1)), "closed")
                    run = self.run_to(arguments, stdout=subprocess.PIPE)
                    self.assertEqual((run.returncode, run.stderr), (0, b""))
        finally:
            server.stop()

    def test_a_server_outlives_the_readers_of_its_notes(self):
        child = subprocess.Popen([harness.HEDDLE, "serve", self.plan, "--grpc", "127.0.0.1:0", "--ranks", "2", "--threads", "1"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            address = child.stdout.readline().decode().split(" on ")[1].split()[0]
            child.stdout.close()
            server = Server.__new__(Server)
            server.process, server.address = child, address
            ask = lambda: attempt("ask", address, "--raw", "-p", "a", "-n", "3")
            self.assertEqual(ask().returncode, 0)
            os.kill(server.ranks()[1], 9)  # it has something to say now
            for _ in range(100):
                if ask().returncode == 0:
                    break
            self.assertEqual(ask().returncode, 0)
            child.terminate()
            self.assertEqual(child.wait(timeout=30), 0)
        finally:
            child.kill()
            child.wait()

    def test_a_server_without_stdout_says_its_address_on_stderr(self):
        child = subprocess.Popen([harness.HEDDLE, "serve", self.plan, "--grpc", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(1))
        try:
            line = child.stderr.readline().decode()
            self.assertIn("standard output could not be written", line)
            address = line.split(" on ")[1].split()[0]
            self.assertEqual(attempt("ask", address, "--raw", "-p", "a", "-n", "3").returncode, 0)
            child.terminate()
            self.assertEqual(child.wait(timeout=30), 1)
        finally:
            child.kill()
            child.communicate()

    def test_a_name_with_a_line_end_stays_on_one_line(self):
        odd = os.path.join(self.place, "two\nlines.gguf")
        say_model.write(odd, say=[67])
        server = Server(odd, environment=self.cache)
        try:
            self.assertEqual(attempt("ask", server.address, "--raw", "-p", "a", "-n", "3").stdout, b"BBB\n")
        finally:
            server.stop()


class Targets(unittest.TestCase):
    """eval --logits, whatever stands at its name."""

    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.plan = os.path.join(cls.place, "say.plan")
        heddle("compile", say_model.write(os.path.join(cls.place, "say.gguf")), "-o", cls.plan)
        cls.text = os.path.join(cls.place, "text.txt")
        with open(cls.text, "w", encoding="utf8") as file:
            file.write("abcdefgh")
        cls.whole = os.path.join(cls.place, "whole.npy")
        cls.evaluate(cls.whole)
        with open(cls.whole, "rb") as file:
            cls.matrix = file.read()

    @classmethod
    def evaluate(cls, name, **options):
        return heddle("eval", cls.plan, "--text", cls.text, "--logits", name, **options)

    def test_devices_stay_devices(self):
        before = sorted(os.listdir("/dev"))
        self.evaluate("/dev/null")
        line = harness.refused(self, attempt("eval", self.plan, "--text", self.text, "--logits", "/dev/full"), status=1)
        self.assertIn("/dev/full cannot be written", line)
        for name in ("/dev/null", "/dev/full"):
            self.assertTrue(stat.S_ISCHR(os.stat(name).st_mode))
        self.assertEqual(sorted(os.listdir("/dev")), before)

    def test_links_stay_links(self):
        place = folder()
        os.makedirs(os.path.join(place, "far"))
        link = os.path.join(place, "link.npy")
        os.symlink("far/real.npy", link)  # dangling, then not
        for _ in range(2):
            self.evaluate(link)
            self.assertEqual(os.readlink(link), "far/real.npy")
            with open(os.path.join(place, "far", "real.npy"), "rb") as file:
                self.assertEqual(file.read(), self.matrix)
            self.assertEqual(tree(place), ["far", "far/real.npy", "link.npy", "link.npy.tokens.json"])

    def test_a_fifo_is_written_to(self):
        place = folder()
        fifo = os.path.join(place, "fifo")
        os.mkfifo(fifo)
        got = []

        def read():
            with open(fifo, "rb") as file:
                got.append(file.read())

        reader = threading.Thread(target=read)
        reader.start()
        self.evaluate(fifo)
        reader.join(timeout=30)
        self.assertEqual(got, [self.matrix])
        self.assertEqual(tree(place), ["fifo"])

    def test_stdout_is_written_to_where_it_stands(self):
        run = attempt("eval", self.plan, "--text", self.text, "--logits", "/dev/stdout", "--json")
        self.assertEqual(run.returncode, 0)
        self.assertTrue(run.stdout.startswith(self.matrix))
        self.assertEqual(json.loads(run.stdout[len(self.matrix):])["tokens"], 8)
        out = os.path.join(folder(), "out")
        with open(out, "wb") as file:
            file.write(b"before\n")
            file.flush()
            subprocess.run([harness.HEDDLE, "eval", self.plan, "--text", self.text, "--logits", "/dev/stdout", "--json"], stdout=file,
                           check=True, timeout=60)
        with open(out, "rb") as file:
            content = file.read()
        self.assertTrue(content.startswith(b"before\n" + self.matrix + b"{"))


if __name__ == "__main__":
    harness.main()
