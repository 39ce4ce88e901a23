"""clients_test.py - `heddle serve` as its clients meet it: the name that the model goes by, addresses that can be dialled, options."""
import json
import os
import shutil
import subprocess
import unittest

import harness
import say_model
from harness import Server, attempt, heddle, refused


class Names(unittest.TestCase):
    """A model goes by what the user called it at this start; the plan in the cache is shared by all of its names."""

    @classmethod
    def setUpClass(cls):
        cls.place = harness.folder()
        cls.cache = {"XDG_CACHE_HOME": os.path.join(cls.place, "cache")}
        cls.gguf = say_model.write(os.path.join(cls.place, "a.gguf"))

    def path(self, name):
        return os.path.join(self.place, name)

    def served(self, model, *options):
        """The name in the line, after an answer was asked for by it."""
        server = Server(model, *options, environment=self.cache)
        try:
            self.assertEqual(heddle("ask", server.address, "--model", server.name, "--raw", "-p", "a", "-n", 1), "A\n")
            refused(self, attempt("ask", server.address, "--model", "nobody", "--raw", "-p", "a"), "NOT_FOUND",
                    f"this server has {server.name}", status=1)
            return server.name
        finally:
            server.stop()

    def test_copies_and_links_go_by_their_own_names(self):
        os.makedirs(self.path("blobs"))
        shutil.copy(self.gguf, self.path("blobs/sha256-00ff"))
        os.symlink("blobs/sha256-00ff", self.path("model.gguf"))
        self.assertEqual(self.served(self.path("model.gguf")), "model")  # with an empty cache
        shutil.copy(self.gguf, self.path("b.gguf"))
        for file, name in {"b.gguf": "b", "a.gguf": "a", "blobs/sha256-00ff": "sha256-00ff"}.items():
            self.assertEqual(self.served(self.path(file)), name)
        plans = [name for name in harness.tree(self.cache["XDG_CACHE_HOME"]) if name.endswith("manifest.json")]
        self.assertEqual(len(plans), 1, plans)

    def test_dots_and_letters_of_a_name_stay(self):
        for file, name in {"Llama-3.2-1B": "Llama-3.2-1B", "v1.5 Größe.GGUF": "v1.5 Größe"}.items():
            shutil.copy(self.gguf, self.path(file))
            self.assertEqual(self.served(self.path(file)), name)

    def test_a_plan_goes_by_its_folder(self):
        heddle("compile", self.gguf, "-o", self.path("first.plan"), environment=self.cache)
        os.rename(self.path("first.plan"), self.path("second.plan"))
        os.symlink("second.plan", self.path("third"))
        for folder, name in {"second.plan": "second", "second.plan/": "second", "third": "third", "second.plan/.": "second"}.items():
            self.assertEqual(self.served(self.path(folder)), name)

    def test_a_name_of_the_users_choice(self):
        server = Server(self.gguf, "--served-name", "first one", "--served-name", "other", environment=self.cache)
        try:
            self.assertEqual(server.name, "first one")
            for name in ("first one", "other"):
                self.assertEqual(heddle("ask", server.address, "--model", name, "--raw", "-p", "a", "-n", 1), "A\n")
            refused(self, attempt("ask", server.address, "--model", "a", "--raw", "-p", "a"), "NOT_FOUND", status=1)
        finally:
            server.stop()

    def test_a_line_break_in_a_files_name_breaks_no_line(self):
        shutil.copy(self.gguf, self.path("two\nlines.gguf"))
        server = Server(self.path("two\nlines.gguf"), environment=self.cache)
        try:
            self.assertEqual(server.name, "two\\nlines")
            self.assertEqual(heddle("ask", server.address, "--model", "two\nlines", "--raw", "-p", "a", "-n", 1), "A\n")
        finally:
            server.stop()

    def test_a_name_that_is_no_utf8_is_repaired(self):
        path = os.fsencode(self.path("latin-")) + b"\xe9.gguf"
        shutil.copy(self.gguf, path)
        server = Server(os.fsdecode(path), environment={"XDG_CACHE_HOME": os.path.join(self.place, "other-cache")})
        try:
            self.assertEqual(server.name, "latin-\ufffd")
            self.assertEqual(heddle("ask", server.address, "--model", server.name, "--raw", "-p", "a", "-n", 1), "A\n")
        finally:
            server.stop()

    def test_any_characters_in_a_name(self):
        for word in ("with spaces", "it's \"quoted\"", "модель", "模型", "$HOME;&|<>*?", "-dash", "%s%n", "a#b", "back\\slash"):
            with self.subTest(word):
                path = os.path.join(self.place, word + ".gguf")
                shutil.copy(self.gguf, path)
                self.assertEqual(self.served(path), word)
                cache = {"XDG_CACHE_HOME": os.path.join(self.place, "cache of " + word)}
                for ranks in (1, 2):
                    run = attempt("run", path, "--raw", "-p", "a", "-n", 3, "--ranks", ranks, environment=cache)
                    self.assertEqual((run.returncode, run.stdout), (0, b"AAA\n"), run.stderr)
                plan = os.path.join(self.place, word + ".plan")
                heddle("compile", path, "-o", plan, environment=cache)
                self.assertEqual(heddle("run", plan, "--raw", "-p", "a", "-n", 3, "--ranks", 2), "AAA\n")

    def test_a_model_and_a_cache_that_can_only_be_read(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        place = self.path("readonly")
        os.makedirs(place)
        path = shutil.copy(self.gguf, os.path.join(place, "m.gguf"))
        cache = os.path.join(place, "cache")
        heddle("run", path, "--raw", "-p", "a", "-n", 1, environment={"XDG_CACHE_HOME": cache})
        subprocess.run(["chmod", "-R", "a+rX,a-w", place], check=True)
        os.chmod(self.place, 0o755)
        words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", harness.HEDDLE, "run", path, "--raw", "-p", "a", "-n", "3"]
        for ranks in ("1", "2"):
            run = subprocess.run([*words, "--ranks", ranks], env=dict(os.environ, XDG_CACHE_HOME=cache), capture_output=True, timeout=120)
            self.assertEqual((run.returncode, run.stdout), (0, b"AAA\n"), run.stderr)
        run = subprocess.run(words, env=dict(os.environ, XDG_CACHE_HOME=os.path.join(place, "other")), capture_output=True, timeout=120)
        refused(self, run, "XDG_CACHE_HOME", status=1)


class Addresses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.folder()
        cls.gguf = say_model.write(os.path.join(cls.place, "a.gguf"))

    def test_a_unix_socket_is_served_and_asked(self):
        path = os.path.join(self.place, "my socket")
        server = subprocess.Popen([harness.HEDDLE, "serve", self.gguf, "--grpc", "unix:my socket"], cwd=self.place,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.assertEqual(server.stdout.readline(), f"serving a on unix:{path} with 1 rank\n")
            self.assertEqual(heddle("ask", f"unix:{path}", "--raw", "-p", "a", "-n", 2), "AA\n")
            self.assertEqual(heddle("ask", f"unix://{path}", "--raw", "-p", "a", "-n", 2), "AA\n")
        finally:
            server.terminate()
            self.assertEqual(server.wait(20), 0)
            server.stdout.close()
        self.assertFalse(os.path.exists(path))
        refused(self, attempt("ask", f"unix:{path}", "--raw", "-p", "a"), "UNAVAILABLE", status=1)

    def test_what_serve_says_can_be_dialled(self):
        for grpc in ("0:0", "0.0.0.0:0", "localhost:0"):
            server = Server(self.gguf, grpc=grpc)
            try:
                self.assertEqual(heddle("ask", server.address, "--raw", "-p", "a", "-n", 1), "A\n", grpc)
            finally:
                server.stop()

    def test_what_is_no_address_is_wrong_usage(self):
        for address in ("", "nonsense", "localhost", "localhost:http", "127.0.0.1:65536", "::1:50051", "a b:1", "unix:", "x:1:2",
                        "http://localhost:5", "unix:/" + "x" * 120):
            with self.subTest(address):
                refused(self, attempt("ask", address, "-p", "a"), "HOST:PORT", status=2)
                refused(self, attempt("serve", self.gguf, "--grpc", address), "HOST:PORT", status=2)
        refused(self, attempt("ask", "127.0.0.1:0", "-p", "a"), "port 0", status=2)

    def test_an_address_that_cannot_be_had_is_told_with_its_reason(self):
        refused(self, attempt("serve", self.gguf, "--grpc", "no-such-host.invalid:0"), "cannot listen on no-such-host.invalid:0", status=1)
        refused(self, attempt("serve", self.gguf, "--grpc", "203.0.113.7:0"), "cannot listen on 203.0.113.7:0", status=1)


class Options(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.folder()
        cls.gguf = say_model.write(os.path.join(cls.place, "a.gguf"), say=[66, 11, 67])

    def test_values_that_make_no_sense_are_wrong_usage(self):
        for option, value in [("--queue", 0), ("--queue", "many"), ("--grace", -1), ("--grace", "soon"), ("--token-budget", 0),
                              ("--token-budget", 65537), ("--log-level", "loud"), ("--served-name", ""), ("--served-name", "a\nb"),
                              ("--served-name", b"\xff")]:
            with self.subTest(f"{option} {value}"):
                refused(self, attempt("serve", self.gguf, option, value, timeout=60), option, status=2)

    def test_a_token_budget_changes_speed_alone(self):
        def answer(*options):
            run = json.loads(heddle("run", self.gguf, "--raw", "-p", "a long enough prompt", "-n", 20, "--json", "--seed", 5,
                                    "--temperature", 2, "--logprobs", 3, *options))
            return run["tokens"], run["text"]
        expected = answer()
        for budget in (1, 3, 65536):
            self.assertEqual(answer("--token-budget", budget), expected, budget)
        self.assertEqual(answer("--token-budget", 2, "--ranks", 2), expected)
        report = json.loads(heddle("bench", self.gguf, "-p", 32, "-n", 4, "-r", 1, "--token-budget", 8, "--json"))
        self.assertGreater(report["decode_tokens_per_second"], 0)
        refused(self, attempt("bench", self.gguf, "--parallel", 8, "--token-budget", 8), "--token-budget", "16", status=2)

    def test_without_grace_an_answer_is_cut_off_at_once(self):
        server = Server(self.gguf, "--grace", 0, "--log-level", "error")
        family = server.family()
        child = subprocess.Popen([harness.HEDDLE, "ask", server.address, "-p", "a", "--raw", "-n", "4000"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        child.stdout.read(1)
        self.assertEqual(server.process.poll(), None)
        server.process.terminate()
        self.assertEqual(server.process.wait(10 * harness.patience()), 0)
        _, error = child.communicate(timeout=20)
        if child.returncode:  # else it was faster
            self.assertIn(b"the server is stopping", error)
        self.assertEqual(server.messages(), "")
        server.process.stdout.close()
        self.assertEqual(harness.alive(family), [])

    def test_a_queue_of_one(self):
        server = Server(self.gguf, "--queue", 1, "--token-budget", 1)
        try:
            asking = [subprocess.Popen([harness.HEDDLE, "ask", server.address, "-p", "a" * 3000, "--raw", "-n", "1"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(6)]
            said = [child.communicate(timeout=120)[1] for child in asking]
            full = [text for text in said if b"RESOURCE_EXHAUSTED: the queue is full, 1 request" in text]
            self.assertTrue(full, said)
            self.assertEqual(len(full) + said.count(b""), 6, said)
        finally:
            server.stop()


if __name__ == "__main__":
    harness.main()
