"""chat_test.py - the chat of `heddle run` and `heddle ask`, by lines of a pipe and on real terminals (pty)."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

import say_model
from harness import HEDDLE, Server, attempt, folder, heddle, main, model, refused

A, B, C = 66, 67, 68  # tokens of "A", "B", "C"
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"  # the answer follows the last message's last character
NO_SYSTEM = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{{ m.content }}{% endfor %}"
DEAF = "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}"


class Models:
    """Small models that answer A for ever, made when they are first asked for."""
    place = None

    @classmethod
    def get(cls, name="plain", **options):
        cls.place = cls.place or folder()
        path = os.path.join(cls.place, name + ".gguf")
        if not os.path.exists(path):
            say_model.write(path, **{"template": PLAIN, **options})
        return path

    @classmethod
    def crlf(cls):
        """B after \\r, A after everything else."""
        return cls.get("crlf", say=[A, 14, B, C], template="{{ messages[-1].content }}")


def chat(model, lines, *options, status=0, environment=None):
    """A chat by lines of a pipe; (answers, what was said beside)."""
    data = lines if isinstance(lines, bytes) else lines.encode()
    options = ("--temperature", 0, *(() if "-n" in options else ("-n", 1)), *options)
    run = attempt("run", model, *options, stdin=data, environment=environment)
    said = run.stderr.decode(errors="replace")
    if run.returncode != status:
        raise AssertionError(f"exit status {run.returncode}: {said}")
    return run.stdout.decode().splitlines(), said


def saved(model, lines, *options):
    """The messages of a chat."""
    path = os.path.join(folder(), "chat.json")
    data = (lines if isinstance(lines, bytes) else lines.encode()) + f"\n/save {path}\n".encode()
    _, said = chat(model, data, *options)
    with open(path, encoding="utf8") as file:
        return json.load(file)["messages"], said


def turns(messages):
    return [m["content"] for m in messages if m["role"] == "user"]


class Lines(unittest.TestCase):
    """Standard input is a pipe or a file: each line is a turn."""

    def test_the_carriage_return_of_a_line_is_no_part_of_it(self):
        model = Models.crlf()
        self.assertEqual(chat(model, "x\r\ny\r\n")[0], ["A", "A"])
        self.assertEqual(chat(model, "x\n\r\ny")[0], ["A", "A"], "an empty line is no turn, and the last needs no end")
        self.assertEqual(json.loads(heddle("run", model, "-p", "x\r", "-n", 1, "--temperature", 0, "--json"))["text"], "B",
                         "so the model can tell")

    def test_a_line_that_is_not_utf8_is_refused_alone(self):
        messages, said = saved(Models.get(), b"one\n\xff\xfe\ncut \xe2\x82\n\xed\xa0\x80\ntwo")
        self.assertEqual(turns(messages), ["one", "two"])
        self.assertEqual(said.count("is not UTF-8"), 3)

    def test_several_lines_are_one_turn_between_quotes_or_after_backslashes(self):
        messages, _ = saved(Models.get(), '"""\none\n  two\n"""\n"""three\nfour"""\nfive\\\nsix\\\n seven\nC:\\\\\n"""eight""" nine')
        self.assertEqual(turns(messages), ["one\n  two", "three\nfour", "five\nsix\n seven", "C:\\\\", "eight nine"])

    def test_an_open_quote_ends_with_the_input(self):
        answers, _ = chat(Models.get(), '"""\none\ntwo')
        self.assertEqual(answers, ["A"])

    def test_marks_of_a_paste_are_never_part_of_a_turn(self):
        messages, _ = saved(Models.get(), "\033[200~one\ntwo\nthree\033[201~\nx \033[200~four\033[201~\n\033[200~/five\033[201~")
        self.assertEqual(turns(messages), ["one\ntwo\nthree", "x four", "/five"])

    def test_commands(self):
        messages, said = saved(Models.get(), "one\n/clear\ntwo\n/nothing x\n//three\n/retry\n/help\n/save\n \n/system be kind")
        self.assertEqual([(m["role"], m["content"]) for m in messages],
                         [("system", "be kind"), ("user", "two"), ("assistant", "A"), ("user", "/three"), ("assistant", "A")])
        for words in ("there is no command /nothing", "/retry ", "//TEXT", "/save needs"):
            self.assertIn(words, said)
        answers, said = chat(Models.get(), "/retry\n/bye\none\n")
        self.assertEqual(answers, [], "/bye ends the chat")
        self.assertIn("no turn to answer again", said)

    def test_a_saved_conversation_can_be_loaded(self):
        place = folder()
        first, second = os.path.join(place, "1.json"), os.path.join(place, "2.json")
        chat(Models.get(), f"one\ntwo\n/save {first}\n", "--system", "s")
        chat(Models.get(), f"/load {first}\nthree\n/save {second}\n")
        with open(second, encoding="utf8") as file:
            messages = json.load(file)["messages"]
        self.assertEqual(turns(messages), ["one", "two", "three"])
        self.assertEqual(messages[0], {"role": "system", "content": "s"})
        broken = {"none": "{}", "cut": '{"messages": [{"role": "user"', "order": '[{"role": "assistant", "content": "x"}]',
                  "kind": '[{"role": "user", "content": 3}]', "open": '[{"role": "user", "content": "x"}]'}
        for name, text in broken.items():
            with open(os.path.join(place, name), "w", encoding="utf8") as file:
                file.write(text)
            answers, said = chat(Models.get(), f"one\n/load {place}/{name}\n/save {second}\n")
            self.assertIn(f"{place}/{name} ", said)
            with open(second, encoding="utf8") as file:
                self.assertEqual(turns(json.load(file)["messages"]), ["one"], name)

    def test_saving_writes_to_what_is_no_file_and_leaves_no_half_one(self):
        place = folder()
        target, link = os.path.join(place, "target.json"), os.path.join(place, "link.json")
        os.symlink(target, link)
        _, said = chat(Models.get(), f"one\n/save {link}\n/save /dev/null\n/save {place}\n/save {place}/none/x\n/save /dev/full\n")
        self.assertTrue(os.path.islink(link))
        with open(target, encoding="utf8") as file:
            self.assertEqual(json.load(file)["model"], "plain")
        self.assertFalse(os.path.isfile("/dev/null"))
        self.assertIn(f"{place} is a folder", said)
        for name in (place + "/none/x", "/dev/full"):
            self.assertIn(f"{name} cannot be written", said)
        self.assertEqual(sorted(os.listdir(place)), ["link.json", "target.json"])

    def test_the_oldest_turns_go_when_the_context_is_full(self):
        lines = "".join(f"turn {i} {'x' * 40}\n" for i in range(8))
        messages, said = saved(Models.get(), lines, "--context", 300, "--system", "keep me")
        self.assertEqual(messages[0], {"role": "system", "content": "keep me"})
        kept = turns(messages)
        self.assertLess(len(kept), 8)
        self.assertEqual(kept, [f"turn {i} {'x' * 40}" for i in range(8 - len(kept), 8)], "the newest stay, whole turns")
        self.assertEqual([m["role"] for m in messages[1:]], ["user", "assistant"] * len(kept))
        self.assertIn("oldest turn", said)

    def test_a_turn_that_does_not_fit_alone_is_refused_with_sizes(self):
        messages, said = saved(Models.get(), "one\n" + "x" * 500 + "\ntwo", "--context", 200)
        self.assertEqual(turns(messages), ["one", "two"])
        self.assertRegex(said, r"the prompt has 50\d tokens, but the context of 200 .* was not sent")

    def test_an_answer_that_fills_the_context_is_kept(self):
        messages, said = saved(Models.get(), "hello", "--context", 64, "-n", 1000)
        self.assertGreater(len(messages[1]["content"]), 30)
        self.assertEqual(set(messages[1]["content"]), {"A"})
        self.assertIn("ends where the context of 64 tokens is full", said)

    def test_no_home_no_history_no_complaint(self):
        environment = {"HOME": "", "XDG_STATE_HOME": "", "XDG_CACHE_HOME": folder(), "TERM": ""}
        answers, said = chat(Models.get(), "one\n", environment=environment)
        self.assertEqual(answers, ["A"])
        self.assertNotIn("history", said)


class Prompts(unittest.TestCase):
    """-p, -f and --system."""

    def ask(self, *options, model=None, stdin=None, status=0):
        return heddle("run", model or Models.get(), "-n", 1, "--temperature", 0, *options, stdin=stdin, status=status)

    def length(self, *options, stdin=None):
        return json.loads(self.ask(*options, "--json", stdin=stdin))["usage"]["prompt_tokens"]

    def test_a_prompt_can_come_from_a_file(self):
        path = os.path.join(folder(), "prompt")
        with open(path, "wb") as file:
            file.write(b"one\r\ntwo\r\n")
        plain = self.length("-p", "one\ntwo")
        self.assertEqual(self.length("-f", path), plain)
        self.assertEqual(self.length("-f", "-", stdin=b"one\ntwo\n"), plain)
        self.assertEqual(self.length("-f", "/dev/stdin", stdin=b"one\ntwo"), plain)
        self.assertEqual(self.length("-p", "x", "-f", path), plain + 3, "after -p, with an empty line between")
        fifo = path + ".fifo"
        os.mkfifo(fifo)
        writer = subprocess.Popen(["sh", "-c", 'printf "one\\ntwo" > "$1"', "sh", fifo])
        self.assertEqual(self.length("-f", fifo), plain)
        writer.wait()

    def test_what_is_no_prompt_is_refused(self):
        place = folder()
        for name, data in (("empty", b""), ("line", b"\n"), ("bad", b"ab\xff")):
            with open(os.path.join(place, name), "wb") as file:
                file.write(data)
        for name, word in (("empty", "is empty"), ("line", "is empty"), ("bad", "not UTF-8 at byte 2"), ("none", "cannot be read"),
                           ("", "is a folder")):
            refused(self, attempt("run", Models.get(), "-f", os.path.join(place, name)), word, status=1)
        refused(self, attempt("run", Models.get(), "-f", "/dev/zero"), "64 MiB", status=1)
        refused(self, attempt("run", Models.get(), "-f", "-", stdin=b""), "standard input is empty", status=1)
        refused(self, attempt("run", Models.get(), "-p", "x", "--logprobs", 2), "--json", status=2)
        refused(self, attempt("run", Models.get(), "--json"), "-p TEXT", status=2)

    def test_a_system_message_reaches_the_template(self):
        self.assertEqual(self.length("-p", "x", "--system", "abc"), self.length("-p", "x") + len("<system>abc"))
        messages, _ = saved(Models.get(), "one", "--system", "abc")
        self.assertEqual(messages[0], {"role": "system", "content": "abc"})
        refused(self, attempt("run", Models.get("refuses", template=NO_SYSTEM), "-p", "x", "--system", "y"),
                "System role not supported", status=1)
        refused(self, attempt("run", Models.get("bare", template=None), "-p", "x", "--system", "y"), "no chat template", status=1)
        refused(self, attempt("run", Models.get(), "-p", "x", "--raw", "--system", "y"), "--raw", status=2)
        run = attempt("run", Models.get("deaf", template=DEAF), "-p", "x", "-n", 1, "--system", "y", "--temperature", 0)
        self.assertIn(b"leaves the system message out", run.stderr)
        self.assertEqual(run.stdout, b"A\n")


class Sampling(unittest.TestCase):
    """What is chosen where the user says nothing."""

    def texts(self, model, *options):
        """What five runs say."""
        return {json.loads(heddle("run", model, "-p", "x", "-n", 12, "--json", *options))["text"] for _ in range(5)}

    def flat(self, name, **keys):
        """A model for which A and B are equally likely after everything."""
        both = {(B, 0): 10.0, (B, 1): 10.0}
        return Models.get(name, say=[A], raised=both, keys={f"general.sampling.{k}": v for k, v in keys.items()})

    def test_chats_draw_and_everything_else_is_greedy(self):
        model = self.flat("flat")
        self.assertGreater(len(self.texts(model)), 1)
        self.assertEqual(self.texts(model, "--temperature", 0), {"A" * 12})
        self.assertEqual(self.texts(model, "--raw"), {"A" * 12})
        self.assertEqual(len(self.texts(model, "--seed", 5)), 1)

    def test_the_models_own_settings_count(self):
        self.assertEqual(self.texts(self.flat("cold", temp=say_model.f32(0))), {"A" * 12})
        self.assertEqual(self.texts(self.flat("narrow", top_k=say_model.u32(1))), {"A" * 12})
        self.assertGreater(len(self.texts(self.flat("cold"), "--temperature", 1)), 1, "the user's word goes before the file's")
        refused(self, attempt("run", self.flat("mad", temp=say_model.f32(-3)), "-p", "x"), "general.sampling.temp", status=1)

    def test_a_server_has_the_same_defaults(self):
        server = Server(self.flat("flat"))
        try:
            ask = lambda *options: {json.loads(heddle("ask", server.address, "-p", "x", "-n", 12, "--json", *options))["text"] for _ in range(5)}
            self.assertGreater(len(ask()), 1)
            self.assertEqual(ask("--temperature", 0), {"A" * 12})
            self.assertEqual(ask("--raw"), {"A" * 12})
        finally:
            server.stop()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments, size=(24, 80), term="xterm", environment=None):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = dict(os.environ, TERM=term, **(environment or {}))
            if term is None:
                del env["TERM"]
            os.execve(HEDDLE, [HEDDLE, *map(str, arguments)], env)
        self.resize(*size)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, words, seconds=60):
        """Reads until `words` come; what came before and with them goes."""
        end = time.time() + seconds
        while words not in self.seen:
            if time.time() > end or not self.more(end):
                raise AssertionError(f"waited for {words[:80]!r}, got {self.seen[-400:]!r}")
        before, _, self.seen = self.seen.partition(words)
        return before

    def more(self, end):
        if not select.select([self.fd], [], [], max(0, end - time.time()))[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def send(self, data):
        os.write(self.fd, data if isinstance(data, bytes) else data.encode())

    def ends(self, seconds=10):
        """The exit status, or minus the signal."""
        end = time.time() + seconds
        while time.time() < end:
            if select.select([self.fd], [], [], 0.05)[0] and not self.more(time.time() + 0.1):
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it does not end: {self.seen[-400:]!r}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class OnTerminal(unittest.TestCase):
    PASTE = "\033[200~one\rtwo\rthree\033[201~"

    def start(self, *options, model=None, command=None, **terminal):
        self.state = terminal.pop("state", None) or folder()
        environment = {"XDG_STATE_HOME": self.state, **terminal.pop("environment", {})}
        arguments = command or ["run", model or Models.get(), "--temperature", 0, *(() if "-n" in options else ("-n", 2))]
        t = Terminal(*arguments, *options, environment=environment, **terminal)
        self.addCleanup(t.close)
        t.until("/help for commands")
        t.until("> ")
        return t

    def messages(self, t):
        path = os.path.join(folder(), "chat.json")
        t.send(f"/save {path}\n")
        t.until("saved ")
        t.until("> ")
        with open(path, encoding="utf8") as file:
            return turns(json.load(file)["messages"])

    def test_pasted_lines_are_one_turn(self):
        for term in ("xterm", "dumb"):
            with self.subTest(term):
                t = self.start(term=term)
                t.send(self.PASTE + "\r")
                t.until("AA")
                t.until("ended by")
                t.until("> ")
                self.assertEqual(self.messages(t), ["one\ntwo\nthree"])
                t.send(b"\x04")
                self.assertEqual(t.ends(), 0)

    def test_lines_typed_ahead_are_kept(self):
        t = self.start()
        t.send("one\ntwo\n")
        t.until("ended by")
        t.until("ended by")
        t.until("> ")
        self.assertEqual(self.messages(t), ["one", "two"])

    def test_editing_and_characters_of_several_bytes(self):
        t = self.start()
        t.send("grün x\x7f\x7f\x7f\x7fß\x1b[D\x1b[D\x1b[D\x01>\x05!\r")  # backspace over n, left, home, end
        t.until("ended by")
        t.until("> ")
        self.assertEqual(self.messages(t), [">grß!"])

    def test_bytes_that_are_not_utf8_do_not_end_it(self):
        for term in ("xterm", "dumb"):
            with self.subTest(term):
                t = self.start(term=term)
                t.send(b"\xff\xfe\n")
                t.until("is not UTF-8")
                t.until("> ")
                t.send("one\n")
                t.until("ended by")
                t.until("> ")
                self.assertEqual(self.messages(t), ["one"])

    def test_ctrl_c_ends_an_answer_and_the_next_is_whole(self):
        for term in ("xterm", "dumb"):
            with self.subTest(term):
                t = self.start(term=term, command=["run", Models.get("long", context=100000), "--context", 100000,
                                                   "--temperature", 0, "-n", 90000])
                t.send("one\n")
                t.until("AAAAAAAAAAAAAAAA")
                t.send(b"\x03")
                t.until("ended by cancelled", seconds=1.5)
                t.until("> ")
                t.send("two\n")
                t.until("A" * 2000, seconds=30)
                t.send(b"\x03")
                t.until("ended by cancelled", seconds=1.5)
                t.until("> ")
                self.assertEqual(self.messages(t), ["one", "two"], "what was answered so far is kept")
                t.send(b"\x04")
                self.assertEqual(t.ends(), 0)

    def test_ctrl_d_while_an_answer_is_made_ends_the_chat_after_it(self):
        t = self.start("-n", 2)
        t.send(b"one\n\x04")
        t.until("ended by")
        self.assertEqual(t.ends(), 0)

    def test_ctrl_c_at_the_prompt_keeps_the_chat(self):
        t = self.start()
        t.send("half a line\x03")
        t.until("Ctrl-D or /bye ends the chat")
        t.until("> ")
        t.send("one\n")
        t.until("ended by")
        t.until("> ")
        self.assertEqual(self.messages(t), ["one"])

    def test_history_is_kept_for_the_next_chat_and_private(self):
        t = self.start()
        t.send("the first\n")
        t.until("ended by")
        t.until("> ")
        t.send("/bye\n")
        self.assertEqual(t.ends(), 0)
        file = os.path.join(self.state, "heddle", "chat_history")
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        t = self.start(state=self.state)
        t.send("\x1b[A\x1b[A\r")  # up, up
        t.until("ended by")
        t.until("> ")
        self.assertEqual(self.messages(t), ["the first"])

    def test_sigterm_leaves_the_terminal_as_it_was(self):
        t = self.start()
        os.kill(t.pid, signal.SIGTERM)
        self.assertEqual(t.ends(), -signal.SIGTERM)
        self.assertIn("\x1b[?2004l", t.seen)

    def test_narrow_and_resized_terminals(self):
        t = self.start(size=(3, 5))
        t.send("a line that is much longer than the terminal is wide")
        time.sleep(0.2)
        t.resize(40, 20)
        os.kill(t.pid, signal.SIGWINCH)
        time.sleep(0.2)
        t.send("\r")
        t.until("ended by")
        t.until("> ")
        self.assertEqual(self.messages(t), ["a line that is much longer than the terminal is wide"])

    def test_a_terminal_without_a_name(self):
        t = self.start(term=None)
        t.send("one\n")
        t.until("ended by")
        t.until("> ")
        self.assertEqual(self.messages(t), ["one"])


class Servers(unittest.TestCase):
    """`heddle ask`: the same chat, and the same JSON, over a server."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(Models.get())

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_run_and_ask_print_one_shape(self):
        def shape(value):
            if isinstance(value, dict):
                return {key: shape(v) for key, v in value.items()}
            if isinstance(value, list):
                return [shape(v) for v in value[:1]]
            return type(value).__name__.replace("int", "float")

        options = ["-p", "one", "-n", 3, "--temperature", 0, "--json", "--seed", 3, "--logprobs", 2]
        local = json.loads(heddle("run", Models.get(), *options))
        remote = json.loads(heddle("ask", self.server.address, *options))
        self.assertEqual(shape(local), shape(remote))
        self.assertEqual(list(local), list(remote))
        for key in ("text", "tokens", "stop_reason", "seed"):
            self.assertEqual(local[key], remote[key])
        self.assertEqual(local["tokens"][0]["text"], "A")
        self.assertEqual(local["tokens"][0]["best"][0]["text"], "A")
        self.assertEqual(local["usage"]["prompt_tokens"], remote["usage"]["prompt_tokens"])
        for command in (["run", Models.get()], ["ask", self.server.address]):
            stopped = json.loads(heddle(*command, "-p", "x", "-n", 9, "--json", "--stop", "AAA"))
            self.assertEqual((stopped["stop_reason"], stopped["stop_string"], stopped["text"]), ("stop_string", "AAA", ""))
            self.assertNotIn("logprob", stopped["tokens"][0])

    def test_a_chat_over_a_server(self):
        path = os.path.join(folder(), "chat.json")
        lines = f"one\r\n\xff\n{'x' * 5000}\ntwo\n/save {path}\n".encode("latin-1")
        run = attempt("ask", self.server.address, "-n", 1, "--temperature", 0, "--system", "s", stdin=lines)
        said = run.stderr.decode(errors="replace")
        self.assertEqual(run.returncode, 0, said)
        self.assertEqual(run.stdout, b"A\nA\n", said)
        with open(path, encoding="utf8") as file:
            messages = json.load(file)["messages"]
        self.assertEqual((messages[0]["content"], turns(messages)), ("s", ["one", "two"]))
        self.assertIn("is not UTF-8", said)
        self.assertRegex(said, "the context of 4096 .* was not sent")

    def test_ctrl_c_cancels_the_call_and_the_chat_goes_on(self):
        server = Server(Models.get("long", context=100000), "--context", 100000)
        t = Terminal("ask", server.address, "-n", 90000, "--temperature", 0, environment={"XDG_STATE_HOME": folder()})
        try:
            t.until("> ")
            t.send("one\n")
            t.until("AAAA")
            t.send(b"\x03")
            t.until("ended by cancelled", seconds=1.5)
            t.until("> ")
            t.send("/bye\n")
            self.assertEqual(t.ends(), 0)
        finally:
            t.close()
            server.stop()

    def test_errors_are_one_line_and_do_not_end_the_chat(self):
        refused(self, attempt("ask", "127.0.0.1:1", "-p", "x"), "UNAVAILABLE: no server at 127.0.0.1:1", status=1)
        refused(self, attempt("ask", "", "-p", "x"), "HOST:PORT", status=2)
        refused(self, attempt("ask", self.server.address, "-p", "x", "--model", "other"), "NOT_FOUND", status=1)
        server = Server(Models.get())
        chat = subprocess.Popen([HEDDLE, "ask", server.address, "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        chat.stdin.write(b"one\n")
        chat.stdin.flush()
        self.assertEqual(chat.stdout.readline(), b"A\n")
        server.stop()
        out, error = chat.communicate(b"two\n", timeout=60)
        self.assertEqual((chat.returncode, out), (0, b""), error)
        self.assertIn(b"UNAVAILABLE", error)


class Beginnings(unittest.TestCase):
    """Only the new turn is computed, and the bits are those of the whole."""

    def test_a_second_turn_reads_only_what_is_new(self):
        for options in ([], ["--kv-type", "q8"], ["--ranks", 2, "--threads", 1]):
            with self.subTest(options):
                self.check(model("smollm2-135m"), options)

    def check(self, name, options):
        server = Server(name, *options)
        self.addCleanup(server.stop)
        ask = ["-n", 24, "--temperature", 0, "--json", "--logprobs", 3]
        prompts = ["Why is the sky blue? Answer in one sentence, please.", "Why is the sky blue? Answer in two sentences, please."]
        for prompt in prompts + prompts[:1]:
            answer = json.loads(heddle("ask", server.address, "-p", prompt, *ask))
            alone = json.loads(heddle("run", name, "-p", prompt, *ask, *(options if "--kv-type" in options else ())))
            self.assertEqual(answer["tokens"], alone["tokens"], "the same bits with a beginning taken over")
            self.assertEqual(alone["usage"]["cached_tokens"], 0)
        self.assertEqual(answer["usage"]["cached_tokens"], answer["usage"]["prompt_tokens"] - 1)

    def test_a_chat_of_the_terminal_says_so(self):
        t = Terminal("run", model("smollm2-135m"), "-n", 40, "--temperature", 0, environment={"XDG_STATE_HOME": folder()})
        self.addCleanup(t.close)
        t.until("> ")
        t.send("Name three colours of wool.\n")
        first = int(t.until(" prompt tokens").rsplit("\n", 1)[-1])
        t.until("> ")
        t.send("And two more.\n")
        second = int(t.until(" prompt tokens").rsplit("\n", 1)[-1])
        new = int(t.until(" of them new").rpartition("(")[2])
        self.assertGreater(second, first + 30)
        self.assertLess(new, 20, "the turn and its template, not the conversation")


if __name__ == "__main__":
    main()
