"""logprobs_test.py - what `run --json --logprobs 5` reports, greedy, follows bit for bit from the rows that `eval` writes."""
import json
import math
import os
import subprocess
import unittest

import harness
from harness import folder, heddle, model

PROMPTS = ["The capital of France is", "Once upon a time there was a weaver who", "1, 2, 3, 4, 5, 6,"]


class Greedy(unittest.TestCase):
    def compare(self, name, *ranks):
        name = model(name)
        place = folder(1.0)
        compared = 0
        for number, prompt in enumerate(PROMPTS):
            answer = json.loads(heddle("run", name, "-p", prompt, "--raw", "-n", 24, "--json", "--logprobs", 5, *ranks))
            tokens = answer["tokens"]
            prompted = answer["usage"]["prompt_tokens"]
            self.assertEqual([len(token["best"]) for token in tokens], [5] * len(tokens))

            # eval reads text, so its ids are those of the prompt and the answer read as one; they agree up to some token.
            text, out = os.path.join(place, f"{number}.txt"), os.path.join(place, f"{number}.npy")
            with open(text, "w", encoding="utf8", newline="") as file:
                file.write(prompt + answer["text"])
            harness.evaluate(name, out, text=text)
            with open(out + ".tokens.json", encoding="utf8") as file:
                ids = json.load(file)
            same = 0
            while same < len(tokens) and prompted + same < len(ids) and ids[prompted + same] == tokens[same]["id"]:
                same += 1
            rows = min(same + 1, len(tokens), len(ids) - prompted + 1)
            compared += rows

            exact = subprocess.run([os.path.join(harness.BIN, "npy_logprobs"), out, str(prompted - 1), str(rows), "5"],
                                   check=True, capture_output=True, text=True).stdout.splitlines()
            npy = harness.Npy(out)
            for i in range(rows):
                where = f"{name}, {prompt!r}, token {i}"
                best = [(int(a), float.fromhex(b)) for a, b in (word.split(":") for word in exact[i].split())]
                told = [(other["id"], other["logprob"]) for other in tokens[i]["best"]]
                self.assertEqual(told, best, where)
                self.assertEqual((tokens[i]["id"], tokens[i]["logprob"]), best[0], where)
                # And apart from all our code: f64 and the C library.
                row = npy.row(prompted - 1 + i)
                highest = max(row)
                normalizer = highest + math.log(math.fsum(math.exp(x - highest) for x in row))
                self.assertEqual(row.index(highest), tokens[i]["id"], where)
                for token, logprob in told:
                    self.assertAlmostEqual(row[token] - normalizer, logprob, delta=1e-5, msg=where)
            npy.close()
            os.unlink(out)
        self.assertGreaterEqual(compared, 40, "too little could be compared: prompt and answer, read as one, gave other tokens")
        print(f"{name}: {compared} tokens compared")

    def test_smollm2(self):
        self.compare("smollm2-135m", "--ranks", 2)

    def test_gemma3(self):
        self.compare("gemma-3-270m")


if __name__ == "__main__":
    harness.main()
