"""serve_test.py - `heddle serve --ranks 2` with a real model, asked by real clients. tests/e2e/services covers the rest of the
service over a step that is made up."""
import json
import os
import queue
import random
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import Server, alive, attempt, call, heddle, model, refused

TOKENIZER = os.path.join(harness.HERE, "..", "..", "parity", "tokenizer")
REQUESTS = [  # of different lengths, greedy and drawn, chat and raw
    ["-p", "Why is the sky blue?", "-n", 40, "--temperature", 0],
    ["-p", "The river rose to the second mark on the wall and", "--raw", "-n", 60],
    ["-p", "Write one sentence about wool.", "-n", 30, "--temperature", 0.8, "--seed", 7],
    ["-p", "A", "--raw", "-n", 50, "--temperature", 1.2, "--top-k", 40, "--top-p", 0.9, "--seed", 11],
    ["-p", "Count: one, two, three,", "--raw", "-n", 25, "--repeat-penalty", 1.2],
    ["-p", " ".join(f"{i} times {i} is {i * i}." for i in range(60)), "--raw", "-n", 20],
    ["-p", "List three colours.", "-n", 45, "--temperature", 0.5, "--min-p", 0.05, "--seed", 3],
    ["-p", "Once upon a time", "--raw", "-n", 70, "--stop", "king"],
]


def ask(address, request):
    seed = [] if "--seed" in request else ["--seed", 1]  # else one is drawn, and returned
    answer = json.loads(heddle("ask", address, *request, *seed, "--json", "--logprobs", 3))
    del answer["timings"], answer["usage"]["cached_tokens"]  # which depend on the others
    return answer


def expected_ids(name, special):
    with open(os.path.join(TOKENIZER, "expected", name + ".json"), encoding="utf8") as file:
        return json.load(file)["parse_special"][special]


def sample_text():
    with open(os.path.join(TOKENIZER, "text.txt"), encoding="utf8", newline="") as file:
        return file.read()


class Serve(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(model("smollm2-135m"), "--ranks", 2, "--threads", 1)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_requests_at_random_moments_get_what_they_get_alone(self):
        alone = [ask(self.server.address, request) for request in REQUESTS]
        self.assertTrue(all(answer["tokens"] for answer in alone))
        generator = random.Random(3)
        for delay in (0.0, 0.7):  # all at once, then spread
            answers = [None] * len(REQUESTS)

            def one(i, wait):
                time.sleep(wait)
                answers[i] = ask(self.server.address, REQUESTS[i])

            threads = [threading.Thread(target=one, args=(i, generator.random() * delay)) for i in range(len(REQUESTS))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for request, answer, single in zip(REQUESTS, answers, alone):
                self.assertEqual(answer, single, request)
        # And the same as the engine without server, MPI and other requests.
        for request, single in list(zip(REQUESTS, alone))[1:4]:
            answer = json.loads(heddle("run", "smollm2-135m", *request, "--json", "--logprobs", 3))
            self.assertEqual([(t["id"], t["logprob"]) for t in answer["tokens"]],
                             [(t["id"], t["logprob"]) for t in single["tokens"]], request)
            self.assertEqual(answer["text"], single["text"])

    def test_tokenize_gives_the_expected_ids(self):
        answer = call(self.server.address, "heddle.v1.Inference/Tokenize", {"text": sample_text()})
        self.assertEqual(answer["ids"], expected_ids("smollm2", "true"))

    def test_values_out_of_range_name_their_field(self):
        for field, value in [("temperature", -1), ("temperature", 11), ("top_p", 0), ("top_p", 1.5), ("min_p", -0.1), ("min_p", 2),
                             ("top_k", -1), ("repeat_penalty", 0), ("repeat_penalty", 100), ("max_tokens", 0), ("max_tokens", -5),
                             ("logprobs", 21), ("logprobs", -1), ("stop", [""]), ("stop", ["x" * 257]), ("stop", ["x"] * 17)]:
            status, said = call(self.server.address, "heddle.v1.Inference/Generate",
                                {"prompt": "x", "sampling": {field: value}}, check=False)
            self.assertNotEqual(status, 0, (field, value))
            self.assertIn("Code: InvalidArgument", said, (field, value))
            self.assertIn(field, said, (field, value))
        for request, word in [({}, "prompt"), ({"tokens": {"ids": [49152]}}, "49152"), ({"tokens": {"ids": [-1]}}, "-1"),
                              ({"tokens": {"ids": []}}, "tokens"), ({"chat": {"messages": []}}, "chat")]:
            status, said = call(self.server.address, "heddle.v1.Inference/Generate", request, check=False)
            self.assertIn("Code: InvalidArgument", said, request)
            self.assertIn(word, said, request)
        status, said = call(self.server.address, "heddle.v1.Inference/Generate", {"prompt": "x", "model": "other"}, check=False)
        self.assertIn("Code: NotFound", said)

    def test_a_prompt_longer_than_the_context(self):
        run = attempt("ask", self.server.address, "-p", "word " * 9000, "--raw")
        line = refused(self, run, "INVALID_ARGUMENT", status=1)
        self.assertRegex(line, r"context|8192")

    def test_serving_again_after_a_rank_was_killed(self):
        """kill -9 of a rank: not serving, then serving within 3 s, with the answers of before and no process left over."""
        before = ask(self.server.address, REQUESTS[1])
        for victim in (0, 1):
            ranks = self.server.ranks()
            self.assertEqual(len(ranks), 2)
            watch = subprocess.Popen([harness.grpcurl(), "-plaintext", self.server.address, "grpc.health.v1.Health/Watch"],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            told = queue.Queue()
            reader = threading.Thread(target=lambda: [told.put(line) for line in watch.stdout if "status" in line])
            reader.start()
            try:
                self.assertIn('"SERVING"', told.get(timeout=10))
                begin = time.monotonic()
                os.kill(ranks[victim], signal.SIGKILL)
                self.assertIn('"NOT_SERVING"', told.get(timeout=10))
                noticed = time.monotonic() - begin
                self.assertIn('"SERVING"', told.get(timeout=20))
                took = time.monotonic() - begin
            finally:
                watch.kill()
                reader.join()
                watch.wait()
                watch.stdout.close()
            print(f"rank {victim} killed: noticed after {noticed:.2f} s, serving again after {took:.2f} s")
            self.assertLess(took, 3.0 * harness.patience())
            self.assertEqual(alive(ranks), [])
            self.assertEqual(ask(self.server.address, REQUESTS[1]), before)

    def test_idle_uses_almost_no_cpu(self):
        ask(self.server.address, REQUESTS[0])
        time.sleep(1)  # OpenMP's threads go to sleep a moment after the last step

        def ticks():
            total = 0
            for pid in self.server.family():
                with open(f"/proc/{pid}/stat", encoding="utf8", errors="replace") as file:
                    fields = file.read().rpartition(") ")[2].split()
                total += int(fields[11]) + int(fields[12])
            return total

        self.assertGreaterEqual(len(self.server.family()), 4)  # frontend, guard or mpirun, two ranks
        before = ticks()
        time.sleep(5)
        percent = (ticks() - before) / os.sysconf("SC_CLK_TCK") / 5 * 100
        print(f"idle: {percent:.1f}% of a core")
        self.assertLess(percent, 10)  # 2 on a quiet machine


class Stop(unittest.TestCase):
    def test_sigterm_lets_the_answer_end_and_leaves_no_process(self):
        server = Server(model("smollm2-135m"), "--ranks", 2, "--threads", 1)
        family = server.family()
        alone = heddle("ask", server.address, "-p", "The", "--raw", "-n", "200")
        child = subprocess.Popen([harness.HEDDLE, "ask", server.address, "-p", "The", "--raw", "-n", "200"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        begun = child.stdout.read(1)  # the answer is on its way
        self.assertEqual(server.stop(), 0)
        rest, error = child.communicate(timeout=20 * harness.patience())
        self.assertEqual(child.returncode, 0, error)
        self.assertEqual((begun + rest).decode(), alone)
        time.sleep(0.2)
        self.assertEqual(alive(family), [])


class Gemma(unittest.TestCase):
    def test_tokenize_gives_the_expected_ids(self):
        server = Server(model("gemma-3-270m"), "--context", 256)
        try:
            answer = call(server.address, "heddle.v1.Inference/Tokenize", {"text": sample_text()})
            self.assertEqual(answer["ids"], expected_ids("gemma3", "true"))
        finally:
            server.stop()


class Eval(unittest.TestCase):
    """The tokenizer without special tokens is eval's."""

    def test_eval_reads_the_expected_ids(self):
        place = harness.folder(1.0)
        name = model("smollm2-135m")
        expected = expected_ids("smollm2", "false")
        out = os.path.join(place, "logits.npy")
        harness.evaluate(name, out, text=os.path.join(TOKENIZER, "text.txt"))
        with open(out + ".tokens.json", encoding="utf8") as file:
            self.assertEqual(json.load(file), expected)


if __name__ == "__main__":
    harness.main()
