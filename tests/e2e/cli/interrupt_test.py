"""interrupt_test.py - Ctrl-C ends an answer at once, also while its prompt is read, and the next one is whole; SIGTERM and SIGHUP end
the program; either way the shell sees the signal, and no file remains."""
import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
import unittest

import harness
import say_model
from harness import alive, attempt, descendants, folder, heddle, patience, tiny, tree

PROMPT = "abcdefgh" * 900


def processor_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf8", errors="replace") as file:
            fields = file.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0


class Slow(unittest.TestCase):
    """A model whose prompt takes minutes to read: little file, much attention."""

    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        gguf = tiny(os.path.join(cls.place, "slow.gguf"), width=256, layers=8, heads=64, kv_heads=1, head_dim=64, feed_forward=256,
                    context=8192, weights="q8_0")
        cls.plan = os.path.join(cls.place, "slow.plan")
        heddle("compile", gguf, "-o", cls.plan)

    def end(self, number, *options, seconds=2.0):
        """Starts reading a long prompt, sends the signal in the middle; the outcome, and how long the end took."""
        child = subprocess.Popen([harness.HEDDLE, "run", self.plan, "--raw", "-p", PROMPT, "-n", "4", "--threads", "1", *options],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        time.sleep(seconds * patience())
        self.assertIsNone(child.poll(), "the prompt is still being read")
        begin = time.monotonic()
        child.send_signal(number)
        out, error = child.communicate(timeout=120)
        return child.returncode, out.decode(), error.decode(), time.monotonic() - begin

    def test_ctrl_c_ends_the_reading_of_a_prompt(self):
        for options in ([], ["--ranks", "2"]):
            with self.subTest(options):
                status, out, error, seconds = self.end(signal.SIGINT, *options)
                self.assertEqual(status, -signal.SIGINT, error)
                self.assertLess(seconds, 1 * patience())
                self.assertEqual(out.strip(), "")
                self.assertIn(", no token, ended by cancelled", error)
                self.assertEqual(error.count("\n"), 1, error)

    def test_ctrl_c_with_json_says_cancelled(self):
        status, out, error, _ = self.end(signal.SIGINT, "--json")
        self.assertEqual(status, -signal.SIGINT, error)
        self.assertEqual(json.loads(out)["stop_reason"], "cancelled")

    def test_sigterm_and_sighup_end_the_program(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            for options in ([], ["--ranks", "2"]):
                with self.subTest(f"{number} {options}"):
                    status, _, error, seconds = self.end(number, *options)
                    self.assertEqual((status, error), (-number, ""))
                    self.assertLess(seconds, 1 * patience())

    def test_a_group_of_ranks_leaves_nothing_behind(self):
        """In the middle of a step, which no rank leaves early."""
        text = os.path.join(self.place, "long.txt")
        with open(text, "w", encoding="utf8") as file:
            file.write(PROMPT)
        commands = {"run": ["run", self.plan, "--raw", "-p", PROMPT, "-n", "4"],
                    "eval": ["eval", self.plan, "--text", text, "--logits", os.path.join(self.place, "ranks.npy")],
                    "bench": ["bench", self.plan, "-p", "8000", "-n", "4"]}
        for name, command in commands.items():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL):
                with self.subTest(f"{name}, signal {number}"):
                    temporary = folder()
                    child = subprocess.Popen([harness.HEDDLE, *command, "--ranks", "2", "--threads", "1"], stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                             env=dict(os.environ, TMPDIR=temporary, XDG_RUNTIME_DIR=""))
                    family = self.busy_family(child)
                    begin = time.monotonic()
                    child.send_signal(number)
                    child.communicate(timeout=60)
                    self.assertEqual(child.returncode, -number)
                    self.assertLess(time.monotonic() - begin, 1 * patience())
                    end = time.monotonic() + 2 * patience()  # what was killed is tidied up by others
                    while (tree(temporary) or alive(family)) and time.monotonic() < end:
                        time.sleep(0.02)
                    self.assertEqual((tree(temporary), alive(family)), ([], []))
                    self.assertEqual([name for name in os.listdir(self.place) if "npy" in name], [])

    def busy_family(self, child):
        """Waits until both ranks compute; all processes that belong to the command."""
        end = time.monotonic() + 60 * patience()
        while time.monotonic() < end:
            family = descendants(child.pid)
            ranks = [pid for pid, line in family.items() if line and line[0].endswith("heddle-worker") and "--guard" not in line]
            if len(ranks) == 2 and all(processor_seconds(pid) > 1 for pid in ranks):
                return family
            time.sleep(0.05)
        raise AssertionError(f"the ranks do not compute: {child.poll()}")

    def test_an_ignored_sighup_stays_ignored(self):
        child = subprocess.Popen([harness.HEDDLE, "run", self.plan, "--raw", "-p", "x", "-n", "2000", "--threads", "1"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                 preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        child.stdout.read(1)
        child.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertIsNone(child.poll())
        child.terminate()
        child.communicate(timeout=30)
        self.assertEqual(child.returncode, -signal.SIGTERM)

    def test_a_signal_during_eval_leaves_no_file(self):
        text = os.path.join(self.place, "text.txt")
        with open(text, "w", encoding="utf8") as file:
            file.write(PROMPT)
        out = os.path.join(self.place, "out")
        os.makedirs(out, exist_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen([harness.HEDDLE, "eval", self.plan, "--text", text, "--logits", os.path.join(out, "x.npy"),
                                      "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(2 * patience())  # the file has no name until it is whole
            self.assertIsNone(child.poll(), "the text is still being read")
            child.send_signal(number)
            child.communicate(timeout=30)
            self.assertEqual(child.returncode, -number)
            self.assertEqual(tree(out), [])


class Compile(unittest.TestCase):
    def test_a_signal_during_compile_leaves_no_file(self):
        place = folder()
        gguf = tiny(os.path.join(place, "m.gguf"), width=2048, layers=12, heads=16, kv_heads=4, head_dim=128, feed_forward=6144,
                    weights="q8_0")
        out = os.path.join(place, "out")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for arguments, environment in ((["-o", os.path.join(out, "x.plan")], {}), ([], {"XDG_CACHE_HOME": out})):
                os.makedirs(out, exist_ok=True)
                child = subprocess.Popen([harness.HEDDLE, "compile", gguf, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         env=dict(os.environ, **environment))
                end = time.monotonic() + 60
                while not any("weights.bin" in name for name in tree(out)) and time.monotonic() < end:
                    time.sleep(0.01)
                child.send_signal(number)
                child.communicate(timeout=30)
                self.assertEqual(child.returncode, -number)
                self.assertEqual([name for name in tree(out) if ".plan" in name and ".lock" not in name], [])


class Eval(unittest.TestCase):
    @staticmethod
    def writes(pid, folder):
        """Whether the process has a file open in the folder, with a name or without."""
        links = []
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
            except OSError:
                pass
        return any(link.startswith(os.path.realpath(folder) + "/") for link in links)

    def test_other_signals_leave_no_file_either(self):
        place = folder()
        gguf = tiny(os.path.join(place, "m.gguf"), width=256, layers=8, heads=4, kv_heads=4, head_dim=64, feed_forward=1024)
        plan, text, out = (os.path.join(place, name) for name in ("m.plan", "text", "out"))
        heddle("compile", gguf, "-o", plan)
        with open(text, "w", encoding="utf8") as file:
            file.write("a b " * 500)
        for number in (signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGKILL):
            os.makedirs(out, exist_ok=True)
            child = subprocess.Popen([harness.HEDDLE, "eval", plan, "--text", text, "--chunk", "1", "--logits", os.path.join(out, "x.npy")],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            end = time.monotonic() + 60
            while not self.writes(child.pid, out) and time.monotonic() < end:
                time.sleep(0.01)
            child.send_signal(number)
            child.communicate(timeout=30)
            self.assertEqual((child.returncode, tree(out)), (-number, []))


class Pull(unittest.TestCase):
    def test_a_signal_during_a_download_ends_pip_and_leaves_no_file(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
            index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                with self.subTest(number):
                    data = folder()
                    child = subprocess.Popen([harness.HEDDLE, "pull", "smollm2-135m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                             env=dict(os.environ, XDG_DATA_HOME=data, PIP_INDEX_URL=index, PIP_CONFIG_FILE="/dev/null"))
                    silent.settimeout(60)
                    connection, _ = silent.accept()
                    child.send_signal(number)
                    _, error = child.communicate(timeout=30)
                    self.assertEqual(child.returncode, -number, error)
                    self.assertIn(b"interrupted", error)
                    self.assertEqual([name for name in tree(data) if "pull-" in name], [])
                    connection.settimeout(10)
                    while connection.recv(65536):  # until pip is gone
                        pass
                    connection.close()


class Chat(unittest.TestCase):
    def test_ctrl_c_ends_one_answer_and_the_next_is_whole(self):
        place = folder()
        gguf = say_model.write(os.path.join(place, "say.gguf"), say=[66, 67, 68], context=65536,
                               template="{% for m in messages %}{{ m.content }}{% endfor %}")
        for options in ([], ["--ranks", "2"]):
            with self.subTest(options):
                self.seen = ""
                pid, terminal = pty.fork()
                if pid == 0:
                    os.execv(harness.HEDDLE, [harness.HEDDLE, "run", gguf, "-n", "60000", "--threads", "1", *options])
                try:
                    self.until(terminal, "> ", 120)
                    os.write(terminal, b"go on\n")
                    self.until(terminal, "ABCABC", 60)
                    begin = time.monotonic()
                    os.write(terminal, b"\x03")
                    self.until(terminal, "cancelled", 20)
                    self.assertLess(time.monotonic() - begin, 1 * patience())
                    self.until(terminal, "> ", 20)
                    os.write(terminal, b"once more\n")
                    self.until(terminal, "ABC" * 100, 60)  # more than the events of one step
                    os.kill(pid, signal.SIGTERM)
                    self.assertEqual(self.ended(pid, 5), signal.SIGTERM)
                    pid = 0
                finally:
                    if pid:
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)
                    os.close(terminal)

    def test_ctrl_c_at_the_prompt_ends_the_program(self):
        place = folder()
        gguf = say_model.write(os.path.join(place, "say.gguf"), template="{% for m in messages %}{{ m.content }}{% endfor %}")
        heddle("compile", gguf)
        child = subprocess.Popen([harness.HEDDLE, "run", gguf], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1 * patience())
        child.send_signal(signal.SIGINT)
        child.wait(timeout=10)
        self.assertEqual(child.returncode, -signal.SIGINT)
        child.communicate()

    def until(self, terminal, text, seconds):
        """Reads to the end of `text`; what comes after it is for the next call."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            self.assertLess(time.monotonic(), end, f"waiting for {text!r}, seen {self.seen[-500:]!r}")
            if select.select([terminal], [], [], 0.1)[0]:
                self.seen += os.read(terminal, 65536).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def ended(self, pid, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
            time.sleep(0.05)
        return None


if __name__ == "__main__":
    harness.main()
