"""hub_test.py - heddle pull hf:ORG/NAME against a server with the hub's paths (fake_hub.py): what is chosen, resumed, checked, refused."""
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import say_model
from fake_hub import Hub, answer, cut_after, sha256
from harness import HEDDLE, attempt, folder, heddle, main, refused, tree


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


WEIGHTS = noise(300_000)
FOLDER = {".gitattributes": b"*.bin filter=lfs\n", "README.md": b"# m\n", "config.json": b'{"model_type": "llama"}\n',
          "generation_config.json": b"{}\n", "tokenizer.json": noise(5000, 2), "tokenizer_config.json": b"{ }\n",
          "chat_template.jinja": b"{{ messages }}", "model.safetensors": WEIGHTS, "pytorch_model.bin": noise(2000, 3),
          "onnx/model.onnx": noise(2000, 4), "onnx/config.json": b"[]", "original/consolidated.safetensors": noise(2000, 5),
          "tf_model.h5": noise(2000, 6), "flax_model.msgpack": noise(2000, 7), "model.fp16.safetensors": noise(2000, 8)}
NEEDED = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def notes(run):
    return run.stderr.decode(errors="replace")


class Pulls(unittest.TestCase):
    def setUp(self):
        self.data, self.cache = folder(), folder()
        self.models = os.path.join(self.data, "heddle", "models", "hf")
        self.hub = None

    def tearDown(self):
        if self.hub:
            self.hub.__exit__()

    def serve(self, repositories, **options):
        self.hub = Hub(repositories, **options)
        return self.hub

    def environment(self, **more):
        return self.hub.environment(self.data, **{"XDG_CACHE_HOME": self.cache, **more})

    def attempt(self, *arguments, **more):
        return attempt(*arguments, environment=self.environment(**more))

    def pull(self, name, **more):
        """Pulls; the path that is printed."""
        run = self.attempt("pull", name, **more)
        self.assertEqual(run.returncode, 0, notes(run))
        self.said = notes(run)
        lines = run.stdout.decode().splitlines()
        self.assertEqual(len(lines), 1)
        return lines[0]

    def refused(self, name, *words, status=1, **more):
        """One line that says why (after the one that says what is pulled), and no model."""
        run = self.attempt("pull", name, **more)
        run.stderr = b"".join(line for line in run.stderr.splitlines(True) if not line.startswith((b"pulling ", b"taking the folder")))
        said = refused(self, run, *words, status=status)
        self.assertEqual([path for path in tree(self.models) if path.startswith(("folders/", "files/"))], [], said)
        return said

    def partial(self):
        return [os.path.join(self.models, path) for path in tree(self.models)
                if path.startswith("partial/") and os.path.isfile(os.path.join(self.models, path)) and not path.endswith(".etag")]

    def check(self, path, files):
        for name, data in files.items():
            with open(os.path.join(path, name), "rb") as file:
                self.assertEqual(file.read(), data, name)


class Choice(Pulls):
    def test_a_folder_of_safetensors_without_what_others_read(self):
        self.serve({"org/some.Model-1": FOLDER})
        path = self.pull("hf:org/some.Model-1")
        self.assertEqual(tree(path), NEEDED)
        self.check(path, {name: FOLDER[name] for name in NEEDED})
        self.assertIn("heddle run hf:org/some.Model-1", self.said)
        self.assertEqual(self.partial(), [])
        listed = json.loads(heddle("list", "--json", environment=self.environment()))
        self.assertEqual([(e["name"], e["kind"], e["path"], e["bytes"]) for e in listed],
                         [("hf:org/some.Model-1", "model", path, sum(len(FOLDER[name]) for name in NEEDED))])
        asked = len(self.hub.requests("/resolve/"))
        self.assertEqual(self.pull("hf:org/some.Model-1"), path)
        self.assertIn("already there", self.said)
        self.assertEqual(len(self.hub.requests("/resolve/")), asked, "nothing is fetched twice")
        self.assertIn(b"removed model hf:org/some.Model-1", self.attempt("rm", "hf:org/some.Model-1").stdout)
        self.assertEqual([p for p in tree(self.models) if not p.startswith("locks")], [])

    def test_shards_are_those_of_the_index(self):
        shards = {f"model-0000{i}-of-00002.safetensors": noise(40_000, i) for i in (1, 2)}
        index = json.dumps({"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
        files = {"config.json": b"{}", "model.safetensors.index.json": index.encode(), "other.safetensors": noise(2000), **shards}
        self.serve({"o/m": files})
        path = self.pull("hf:o/m")
        self.assertEqual(tree(path), sorted(set(files) - {"other.safetensors"}))
        self.check(path, shards)
        self.pull("hf:o/m")
        self.assertIn("already there", self.said)
        self.hub.revisions["o/m"]["main"]["model-00002-of-00002.safetensors"] = noise(50_000, 9)
        before = len(self.hub.requests("/resolve/"))
        self.check(self.pull("hf:o/m"), {**shards, "model-00002-of-00002.safetensors": noise(50_000, 9)})
        self.assertEqual(len(self.hub.requests("/resolve/")), before + 1, "only what has changed comes again")

    def test_an_index_that_leads_elsewhere(self):
        for shard, words in (("../../x.safetensors", "no safetensors file beside it"), ("/etc/x.safetensors", "beside it"), ("x.bin", "beside it"),
                             ("gone.safetensors", "not in the repository"), (5, "beside it")):
            with self.subTest(shard):
                self.serve({"o/m": {"config.json": b"{}", "model.safetensors.index.json": json.dumps({"weight_map": {"a": shard}}).encode()}})
                self.refused("hf:o/m", words, "index.json")
                self.tearDown()
        self.serve({"o/m": {"config.json": b"{}", "model.safetensors.index.json": b"{]"}})
        self.refused("hf:o/m", "weight_map")

    def test_one_gguf_runs_by_the_name_that_was_pulled(self):
        gguf = say_model.write(os.path.join(folder(), "x.gguf"), say=[66])
        with open(gguf, "rb") as file:
            data = file.read()
        self.serve({"o/m-GGUF": {"README.md": b"", "m.Q4_0.gguf": data, "mmproj-m-f16.gguf": noise(2000), "imatrix.gguf": noise(2000)}})
        refused(self, self.attempt("run", "hf:o/m-GGUF", "--raw", "-p", "x", "-n", "1"), "heddle pull hf:o/m-GGUF")
        path = self.pull("hf:o/m-GGUF")
        self.check(os.path.dirname(path), {"m.Q4_0.gguf": data})
        for name in ("hf:o/m-GGUF", "hf:o/m-GGUF:q4_0", "hf:o/m-GGUF:m.Q4_0.gguf"):
            run = self.attempt("run", name, "--raw", "-p", "x", "-n", "2")
            self.assertEqual((run.returncode, run.stdout), (0, b"AA\n"), notes(run))
        self.assertEqual([e["kind"] for e in json.loads(self.attempt("list", "--json").stdout)], ["model", "plan"])
        said = self.attempt("rm", "hf:o/m-GGUF:Q4_0").stdout.decode()
        self.assertRegex(said, "removed model hf:o/m-GGUF:m.Q4_0.gguf, .*\nremoved plan .* of m.Q4_0")
        self.assertEqual(json.loads(self.attempt("list", "--json").stdout), [])
        self.assertEqual([p for p in tree(self.models) if not p.startswith("locks")], [])

    def test_of_several_ggufs_one_is_chosen_by_name_or_quantisation(self):
        files = {name: noise(3000 + i, i) for i, name in enumerate((
            "m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-UD-Q4_K_M.gguf", "m-Q4_0_4_4.gguf", "m-BF16.gguf", "mmproj-BF16.gguf",
            "Q6_K/m-Q6_K-00001-of-00003.gguf", "Q6_K/m-Q6_K-00002-of-00003.gguf", "Q6_K/m-Q6_K-00003-of-00003.gguf",
            "m-Q3_K-00001-of-00002.gguf"))}
        self.serve({"o/m": files})
        said = self.refused("hf:o/m", "m-Q8_0.gguf", "Q6_K/m-Q6_K-00001-of-00003.gguf", "hf:o/m:", "choose")
        self.assertNotIn("mmproj", said)
        self.assertNotIn("00002-of-00003", said)
        self.refused("hf:o/m:Q4_0", "no file Q4_0")
        self.refused("hf:o/m:Q3_K", "only 1 of the 2 parts")
        self.refused("hf:o/m:m-Q8_1.gguf", "did you mean m-Q8_0.gguf")
        self.refused("hf:o/m:Q5_K_M", "Q5_K_M", "m-Q8_0.gguf")
        for wanted, name in (("q4_k_m", "m-Q4_K_M.gguf"), ("UD-Q4_K_M", "m-UD-Q4_K_M.gguf"), ("m-Q8_0.gguf", "m-Q8_0.gguf"), ("BF16", "m-BF16.gguf"),
                             ("mmproj-BF16.gguf", "mmproj-BF16.gguf"), ("m-Q8_0", "m-Q8_0.gguf")):
            path = self.pull("hf:o/m:" + wanted)
            self.assertTrue(path.endswith("/" + name), (wanted, path))
            self.check(os.path.dirname(path), {name: files[name]})
        refused(self, self.attempt("run", "hf:o/m"), "m-UD-Q4_K_M.gguf", "choose one")
        refused(self, self.attempt("rm", "hf:o/m"), "choose one")
        refused(self, self.attempt("run", "hf:o/m:Q6_K"), "heddle pull hf:o/m:Q6_K", "m-BF16.gguf")
        path = self.pull("hf:o/m:Q6_K")
        self.assertTrue(path.endswith("/Q6_K/m-Q6_K-00001-of-00003.gguf"))
        self.check(os.path.dirname(os.path.dirname(path)), {name: data for name, data in files.items() if name.startswith("Q6_K")})
        self.assertIn(b"hf:o/m:Q6_K/m-Q6_K-00001-of-00003.gguf", self.attempt("list").stdout)
        self.assertEqual(self.attempt("rm", "hf:o/m:Q6_K").returncode, 0)
        self.assertNotIn("Q6_K", " ".join(tree(self.models)))

    def test_both_kinds_mean_the_folder(self):
        self.serve({"o/m": {**FOLDER, "m-q4_0.gguf": noise(2000)}})
        self.assertEqual(tree(self.pull("hf:o/m")), NEEDED)
        self.assertIn("m-q4_0.gguf", self.said)
        self.assertTrue(self.pull("hf:o/m:q4_0").endswith("m-q4_0.gguf"))
        self.assertEqual(len(json.loads(self.attempt("list", "--json").stdout)), 2)

    def test_any_file_that_is_asked_for(self):
        self.serve({"o/m": {"notes/a b+c%.txt": b"hello", "w.bin": noise(2000)}})
        path = self.pull("hf:o/m:notes/a b+c%.txt")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"hello")
        self.assertNotIn("heddle run", self.said)
        self.assertEqual([e["kind"] for e in json.loads(self.attempt("list", "--json").stdout)], ["file"])
        self.assertEqual(self.attempt("rm", "hf:o/m:notes/a b+c%.txt").returncode, 0)

    def test_nothing_to_read(self):
        for files, words in (({"config.json": b"", "pytorch_model.bin": b"x"}, ("pickle", "pytorch_model.bin")),
                             ({"adapter_config.json": b"", "adapter_model.safetensors": b"x"}, ("adapter_model.safetensors", "config.json")),
                             ({"README.md": b""}, ("neither safetensors nor a GGUF",)), ({}, ("neither safetensors nor a GGUF",))):
            with self.subTest(words):
                self.serve({"o/m": files})
                self.refused("hf:o/m", "o/m", *words)
                self.tearDown()

    def test_revisions(self):
        self.serve({"o/m": FOLDER})
        other = dict(FOLDER, **{"model.safetensors": noise(4000, 11)})
        self.hub.revisions["o/m"]["refs/pr/1"] = other
        path = self.pull("hf:o/m@refs/pr/1")
        self.check(path, {"model.safetensors": noise(4000, 11)})
        main_path = self.pull("hf:o/m")
        self.check(main_path, {"model.safetensors": WEIGHTS})
        self.assertNotEqual(path, main_path)
        self.assertEqual([e["name"] for e in json.loads(self.attempt("list", "--json").stdout)], ["hf:o/m", "hf:o/m@refs/pr/1"])
        self.refused_not_there("hf:o/m@mian", "no branch, tag or commit mian", "did you mean main")
        self.attempt("rm", "hf:o/m@refs/pr/1")
        self.assertEqual([e["name"] for e in json.loads(self.attempt("list", "--json").stdout)], ["hf:o/m"])

    def refused_not_there(self, name, *words):
        refused(self, self.attempt("pull", name), *words, status=1)

    def test_a_newer_commit_replaces_the_folder(self):
        self.serve({"o/m": FOLDER})
        path = self.pull("hf:o/m")
        newer = {name: data for name, data in FOLDER.items() if name != "chat_template.jinja"}
        newer["model.safetensors"] = noise(9000, 12)
        self.hub.revisions["o/m"]["main"] = newer
        self.assertEqual(self.pull("hf:o/m"), path)
        self.assertEqual(tree(path), [name for name in NEEDED if name != "chat_template.jinja"])
        self.check(path, {"model.safetensors": newer["model.safetensors"]})
        with open(os.path.join(path, "config.json"), "wb") as file:
            file.write(b"damaged")
        self.pull("hf:o/m")
        self.check(path, {"config.json": FOLDER["config.json"]})

    def test_lists_in_pages_and_lists_without_hashes(self):
        self.serve({"o/m": FOLDER})
        self.hub.siblings, self.hub.page = False, 4
        self.assertEqual(tree(self.pull("hf:o/m")), NEEDED)
        self.assertEqual(len(self.hub.requests("/tree/")), 4)
        self.attempt("rm", "hf:o/m")
        self.hub.siblings, self.hub.blobs, self.hub.tree = True, False, False  # headers alone say what a file is
        self.hub.serve["model.safetensors"] = b"y" * len(WEIGHTS)
        self.refused("hf:o/m", "model.safetensors", "hash")
        self.hub.serve.clear()
        self.check(self.pull("hf:o/m"), {"model.safetensors": WEIGHTS})
        self.assertNotIn("no hash", self.said)
        self.attempt("rm", "hf:o/m")
        self.hub.hashes = False
        self.check(self.pull("hf:o/m"), {"model.safetensors": WEIGHTS})
        self.assertIn("no hash of model.safetensors", self.said)

    def test_a_renamed_repository(self):
        self.serve({"new/name": FOLDER})
        self.hub.renamed["old/name"] = "new/name"
        self.assertEqual(tree(self.pull("hf:old/name")), NEEDED)


class Resume(Pulls):
    def test_a_broken_connection_is_gone_on_from(self):
        self.serve({"o/m": FOLDER})
        self.hub.fail(2, cut_after(100_000, WEIGHTS), match="model.safetensors", server="cdn")
        self.check(self.pull("hf:o/m"), {"model.safetensors": WEIGHTS})
        ranges = [headers.get("Range") for _, _, _, headers in self.hub.requests("model.safetensors", "cdn")]
        self.assertEqual(ranges[0], None)
        self.assertEqual(ranges[-1], "bytes=100000-")

    def interrupt(self, name, number, enough=100_000):
        child = subprocess.Popen([HEDDLE, "pull", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=dict(os.environ, **self.environment()))
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(os.path.getsize(path) >= enough for path in self.partial()):
            time.sleep(0.01)
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
        self.assertEqual((child.returncode, out), (-number, b""), err)
        self.assertEqual([p for p in tree(self.models) if p.startswith(("folders", "files"))], [])
        return err.decode()

    def test_an_interrupted_pull_is_gone_on_from(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                data = noise(3_000_000, 13)
                self.serve({"o/m": {"m.gguf": data}})
                self.hub.slow = 0.03
                said = self.interrupt("hf:o/m", number)
                if number != signal.SIGKILL:
                    self.assertIn("are kept, the same command goes on", said)
                kept = max(os.path.getsize(path) for path in self.partial())
                self.assertEqual(json.loads(self.attempt("list", "--json").stdout), [])
                self.hub.slow = 0
                self.hub.log.clear()
                path = self.pull("hf:o/m")
                self.assertIn("are here", self.said)
                self.check(os.path.dirname(path), {"m.gguf": data})
                (_, _, _, headers), = self.hub.requests("m.gguf", "cdn")
                self.assertEqual(headers["Range"], f"bytes={kept}-")
                self.assertEqual(headers["If-Range"], f'"cdn-{sha256(data)[:16]}"')
                self.assertEqual(self.partial(), [])
                self.attempt("rm", "hf:o/m")
                self.tearDown()

    def test_a_server_without_ranges_begins_anew(self):
        data = noise(3_000_000, 14)
        self.serve({"o/m": {"m.gguf": data}})
        self.hub.slow = 0.03
        self.interrupt("hf:o/m", signal.SIGINT)
        self.hub.slow, self.hub.ranges = 0, False
        self.check(os.path.dirname(self.pull("hf:o/m")), {"m.gguf": data})

    def test_what_has_changed_meanwhile_begins_anew(self):
        data = noise(3_000_000, 15)
        self.serve({"o/m": {"m.gguf": data}})
        self.hub.slow = 0.03
        self.interrupt("hf:o/m", signal.SIGINT)
        self.hub.slow, self.hub.etag = 0, '"another"'  # If-Range
        self.check(os.path.dirname(self.pull("hf:o/m")), {"m.gguf": data})
        self.attempt("rm", "hf:o/m")
        self.hub.slow = 0.03
        self.interrupt("hf:o/m", signal.SIGINT)
        newer = noise(2_000_000, 16)
        self.hub.slow = 0
        self.hub.revisions["o/m"]["main"]["m.gguf"] = newer  # another commit
        self.check(os.path.dirname(self.pull("hf:o/m")), {"m.gguf": newer})
        self.assertEqual(self.partial(), [], "the old one's part is gone")

    def test_a_damaged_part_is_fetched_again(self):
        data = noise(400_000, 17)
        self.serve({"o/m": {"m.gguf": data}})
        place = os.path.join(self.models, "partial", "o", "m")
        for size in (1000, len(data), len(data) + 5):
            with self.subTest(size):
                os.makedirs(place, exist_ok=True)
                with open(os.path.join(place, sha256(data)), "wb") as file:
                    file.write(b"x" * size)
                self.check(os.path.dirname(self.pull("hf:o/m")), {"m.gguf": data})
                self.attempt("rm", "hf:o/m")

    def test_rm_takes_what_an_unfinished_pull_left(self):
        self.serve({"o/m": {"m.gguf": noise(3_000_000, 18)}})
        self.hub.slow = 0.03
        self.interrupt("hf:o/m", signal.SIGINT)
        self.assertIn(b"unfinished pull of hf:o/m", self.attempt("rm", "hf:o/m").stdout)
        self.assertEqual(self.partial(), [])
        refused(self, self.attempt("rm", "hf:o/m"), "heddle list")

    def test_servers_that_ask_for_patience(self):
        self.serve({"o/m": FOLDER})
        self.hub.fail(2, lambda h: answer(h, 503), match="/revision/")
        self.hub.fail(1, lambda h: answer(h, 429, Retry_After="1"), match="tokenizer.json", server="hub")
        self.hub.fail(1, lambda h: answer(h, 500), match="model.safetensors", server="cdn")
        self.hub.fail(1, lambda h: answer(h, 403), match="model.safetensors", server="cdn")  # the link has expired
        begin = time.monotonic()
        self.assertEqual(tree(self.pull("hf:o/m")), NEEDED)
        self.assertGreater(time.monotonic() - begin, 1)

    def test_patience_ends(self):
        self.serve({"o/m": FOLDER})
        self.hub.fail(1, lambda h: answer(h, 429, Retry_After="86400"), match="/revision/")
        self.refused("hf:o/m", "429", "86400 s")
        self.hub.fail(1000, cut_after(500, WEIGHTS), match="model.safetensors", server="cdn")
        said = self.refused("hf:o/m", "7 more attempts")
        self.assertIn("kept", said)
        self.hub.faults.clear()
        self.hub.fail(1, lambda h: time.sleep(3) or setattr(h, "close_connection", True), match="model.safetensors", server="cdn")
        self.check(self.pull("hf:o/m", HF_HUB_DOWNLOAD_TIMEOUT="1"), {"model.safetensors": WEIGHTS})

    def test_two_pulls_at_once(self):
        data = noise(2_000_000, 19)
        self.serve({"o/m": {"m.gguf": data}})
        self.hub.slow = 0.02
        runs = []
        threads = [threading.Thread(target=lambda: runs.append(self.attempt("pull", "hf:o/m"))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([run.returncode for run in runs], [0, 0, 0], [notes(run) for run in runs])
        self.assertEqual(sum("waiting for it" in notes(run) for run in runs), 2)
        self.assertEqual(len(self.hub.requests("m.gguf", "cdn")), 1)


class Refusals(Pulls):
    def test_specs(self):
        self.serve({"o/m": FOLDER})
        for name in ("hf:", "hf:m", "hf:/m", "hf:o/", "hf:o/m/n", "hf:../m", "hf:o/..", "hf:o/m@", "hf:o/m:", "hf:o/m@a b", "hf:o/m@../x",
                     "hf:o/m@a..b", "hf:o/m:../x", "hf:o/m:/etc/passwd", "hf:o/m:a//b", "hf:o/m:a/../b", "hf:o/m:.", "hf:o/m:a\\b", "hf:o/m:a\nb",
                     "hf:o?/m", "hf:-o/m", "hf:o/m@-x", "hf:o/.m", "hf:o/" + "m" * 200, "hf:o/m@%2e%2e"):
            with self.subTest(name):
                self.refused(name, "hf:ORG/NAME[@REVISION][:FILE]", status=2)
                refused(self, self.attempt("run", name), "hf:ORG/NAME", status=2)
                refused(self, self.attempt("rm", name), "hf:ORG/NAME", status=2)
        self.refused("o/m", "hf:ORG/NAME")
        self.assertEqual(self.hub.log, [])

    def test_gates(self):
        self.serve({"meta/gated": FOLDER, "o/private": FOLDER, "o/open": FOLDER})
        self.hub.token, self.hub.gated, self.hub.private = "hf_right", {"meta/gated"}, {"o/private"}
        self.refused("hf:meta/gated", "gated", self.hub.endpoint + "/meta/gated", "HF_TOKEN")
        self.refused("hf:meta/gated", "gated", "the account of your token", HF_TOKEN="hf_wrong")
        self.refused("hf:o/private", "or it is private", "HF_TOKEN")
        self.refused("hf:o/private", "no repository o/private", HF_TOKEN="hf_wrong")
        self.refused("hf:o/opem", "did you mean o/open")
        self.hub.codes = False
        self.refused("hf:meta/gated", "gated", HF_TOKEN="hf_wrong")
        self.refused("hf:o/opem", "no repository o/opem", HF_TOKEN="hf_wrong")
        self.hub.codes = True
        for name in ("meta/gated", "o/private"):
            self.check(self.pull("hf:" + name, HF_TOKEN=" hf_right\n"), {"model.safetensors": WEIGHTS})

    def test_the_token_goes_to_the_hub_alone(self):
        self.serve({"o/private": FOLDER})
        self.hub.token, self.hub.private = "hf_right", {"o/private"}
        places = ({"HF_TOKEN_PATH": os.path.join(self.data, "secret")}, {"HF_HOME": os.path.join(self.data, "home")},
                  {"HF_HOME": "", "XDG_CACHE_HOME": "", "HOME": os.path.join(self.data, "h")})
        for number, (place, file) in enumerate(zip(places, ("secret", "home/token", "h/.cache/huggingface/token"))):
            with self.subTest(file):
                path = os.path.join(self.data, file)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf8") as out:
                    out.write("hf_right\n")
                self.pull("hf:o/private", **place)
                self.attempt("rm", "hf:o/private")
                os.unlink(path)
        self.assertTrue(all(headers.get("Authorization") == "Bearer hf_right" for _, _, _, headers in self.hub.requests(server="hub")))
        self.assertTrue(self.hub.requests(server="cdn"))
        self.assertTrue(all("Authorization" not in headers for _, _, _, headers in self.hub.requests(server="cdn")))
        self.refused("hf:o/private", "HF_TOKEN holds no token", HF_TOKEN="hf_x\nHost: evil")

    def test_what_is_not_there(self):
        self.serve({"o/m": FOLDER})
        self.refused("hf:o/n", "no repository o/n", "did you mean o/m")
        self.refused("hf:o/m@v1", "no branch, tag or commit v1")
        self.refused("hf:o/m:confg.json", "no file confg.json", "did you mean config.json")
        self.hub.codes = False
        self.refused("hf:o/m@v1", "no branch, tag or commit v1")
        self.refused("hf:o/nn", "no repository o/nn", HF_TOKEN="x")
        self.hub.fail(1, lambda h: answer(h, 404), match="model.safetensors", server="hub")
        self.refused("hf:o/m", "no file model.safetensors")

    def test_networks(self):
        self.serve({"o/m": FOLDER})
        self.refused("hf:o/m", "localhost:1", "cannot be reached", "HF_ENDPOINT", HF_ENDPOINT="http://localhost:1")
        self.refused("hf:o/m", "name.invalid", "cannot be reached", "network", HF_ENDPOINT="https://name.invalid")
        self.refused("hf:o/m", "HF_ENDPOINT", "file:///etc", HF_ENDPOINT="file:///etc")
        self.refused("hf:o/m", "HF_ENDPOINT", HF_ENDPOINT="nonsense")
        self.refused("hf:o/m", "HF_HUB_DOWNLOAD_TIMEOUT", HF_HUB_DOWNLOAD_TIMEOUT="soon")
        self.refused("hf:o/m", "HF_HUB_OFFLINE", HF_HUB_OFFLINE="1")
        self.pull("hf:o/m", HF_ENDPOINT=self.hub.endpoint + "//")
        asked = len(self.hub.log)
        self.pull("hf:o/m", HF_HUB_OFFLINE="1")
        self.assertEqual(len(self.hub.log), asked)

    def test_proxies_of_the_environment(self):
        self.serve({"o/m": FOLDER})
        seen = []

        def proxy(_, handler):
            if handler.path.startswith("http://hub.example/"):
                seen.append(handler.path)
                handler.path = handler.path.removeprefix("http://hub.example")
            return False
        self.hub.faults.append(proxy)
        with_proxy = {"http_proxy": self.hub.endpoint, "NO_PROXY": "localhost", "no_proxy": "localhost"}
        self.check(self.pull("hf:o/m", HF_ENDPOINT="http://hub.example", **with_proxy), {"model.safetensors": WEIGHTS})
        self.assertTrue(seen)

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl to make a certificate")
    def test_certificates(self):
        place = folder()
        key, certificate = (os.path.join(place, name) for name in ("key", "certificate"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        self.serve({"o/m": FOLDER}, certificate=(certificate, key))
        self.refused("hf:o/m", "no trusted connection to localhost", "SSL_CERT_FILE")
        self.check(self.pull("hf:o/m", SSL_CERT_FILE=certificate), {"model.safetensors": WEIGHTS})
        self.attempt("rm", "hf:o/m")
        self.hub.cdn = self.hub.cdn.replace("https", "http")
        self.refused("hf:o/m", "not followed", SSL_CERT_FILE=certificate)

    def test_wrong_bytes(self):
        self.serve({"o/m": FOLDER})
        for path, size in (("config.json", len(FOLDER["config.json"])), ("model.safetensors", len(WEIGHTS))):  # what is right is kept
            self.hub.serve = {path: b"y" * size}
            self.refused("hf:o/m", path, "hash", "thrown away")
            self.hub.serve = {path: b"y" * (size + 1)}
            self.refused("hf:o/m", path, f"{size + 1} bytes", "proxy")
        self.hub.serve = {}
        self.hub.listing = b"<html>welcome to the hotel</html>"
        self.refused("hf:o/m", "no JSON", "HF_ENDPOINT")

    def test_hostile_lists(self):
        self.serve({"o/m": FOLDER})
        hash256, many = "0" * 64, 1 << 60
        for siblings, words in (
                ([{"rfilename": "../../../x.gguf", "size": 5}], "no path in a repository"),
                ([{"rfilename": "/tmp/x.gguf", "size": 5}], "no path in a repository"),
                ([{"rfilename": "a//b.gguf", "size": 5}], "no path in a repository"),
                ([{"rfilename": "", "size": 5}], "no path in a repository"),
                ([{"rfilename": "a/./x.gguf", "size": 5}], "no path in a repository"),
                ([{"rfilename": "a\u0000.gguf", "size": 5}], "no path in a repository"),
                ([{"rfilename": "a\nb.gguf", "size": 5}], "safe to write"),
                ([{"rfilename": "a\\b.gguf", "size": 5}], "safe to write"),
                ([{"rfilename": "a" * 300 + ".gguf", "size": 5}], "safe to write"),
                ([{"rfilename": "x.gguf", "size": 1 << 49, "lfs": {"sha256": hash256}}], "free"),
                ([{"rfilename": "x.gguf", "size": many}, 5, None, [], {"rfilename": 5}], "no path"),
                ([{"rfilename": "x.gguf", "size": -1, "lfs": []}], "no file x.gguf"),
                ("text", ""), ([[[[]]]], ""), (5, "")):
            with self.subTest(siblings):
                self.hub.listing = json.dumps({"sha": "../..", "siblings": siblings}).encode()
                self.refused("hf:o/m", *([words] if words else []))
        self.hub.listing = b"[" * 1_000_000
        self.refused("hf:o/m", "no JSON")
        self.hub.listing = None
        self.hub.siblings = False
        self.hub.fail(1, lambda h: answer(h, 200, b"[]", Link=f'<{self.hub.cdn}/x>; rel="next"'), match="/tree/")
        self.refused("hf:o/m", "another server")
        self.hub.fail(100, lambda h: answer(h, 200, b"[]", Link='</api/models/o/m/tree/x>; rel="next"'), match="/tree/")
        self.refused("hf:o/m", "without an end")
        self.assertFalse([path for path in tree(self.data) if not path.startswith("heddle")])

    def test_redirects_that_lead_nowhere(self):
        self.serve({"o/m": FOLDER})
        self.hub.fail(100, lambda h: answer(h, 302, Location=h.path), match="model.safetensors", server="hub")
        self.refused("hf:o/m", "circles")
        self.hub.faults.clear()
        self.hub.fail(100, lambda h: answer(h, 302, Location="file:///etc/passwd"), match="model.safetensors", server="hub")
        self.refused("hf:o/m", "not followed")
        self.hub.faults.clear()
        self.hub.fail(100, lambda h: answer(h, 302), match="model.safetensors", server="hub")
        self.refused("hf:o/m", "nowhere")

    @unittest.skipIf(os.geteuid(), "mounting a small disk needs root")
    def test_full_disks(self):
        disk = os.path.join(self.data, "heddle")
        os.makedirs(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], capture_output=True).returncode:
            self.skipTest("no tmpfs can be mounted here")
        try:
            data = noise(20_400_000, 20)
            self.serve({"o/m": {"m.gguf": data}})
            self.refused("hf:o/m", "free, but", "needs")
            self.hub.blobs = self.hub.tree = False  # so that the size is not known beforehand
            with open(os.path.join(disk, "filler"), "wb") as file:
                file.write(b"x" * 10_000_000)
            self.refused("hf:o/m", "is full", "is kept")
            os.unlink(os.path.join(disk, "filler"))
            self.pull("hf:o/m")
            self.assertIn("are here", self.said)
        finally:
            subprocess.run(["umount", disk], check=False)

    def test_a_folder_that_cannot_be_written(self):
        self.serve({"o/m": FOLDER})
        with open(os.path.join(self.data, "heddle"), "wb"):
            pass
        refused(self, self.attempt("pull", "hf:o/m"), "cannot be created", "XDG_DATA_HOME")


class Terminal(Pulls):
    def test_progress_says_bytes_and_rate(self):
        self.serve({"o/m": {"m.gguf": noise(3_000_000, 21)}})
        self.hub.slow = 0.08
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(HEDDLE, [HEDDLE, "pull", "hf:o/m"], dict(os.environ, COLUMNS="200", **self.environment()))
        seen = b""
        try:
            while part := os.read(terminal, 65536):
                seen += part
        except OSError:  # the other end is closed
            pass
        os.close(terminal)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertRegex(seen.decode(errors="replace"), r"pulling hf:o/m \[#+\.+\] \d+%.* of 3\.0\d* MB")

    def test_completion(self):
        self.serve({"org/model": FOLDER})
        self.pull("hf:org/model")
        for line, words in ((["run", "hf:o"], ["hf:org/model"]), (["rm", "hf:"], ["hf:org/model"]), (["pull", "hf:"], ["hf:org/model", "hf:"])):
            said = self.attempt("completion", "--for", *line).stdout.decode().split()
            self.assertEqual([word for word in said if word != ":files"], words, line)
        script = '''eval "$("$0" completion bash)"
COMP_WORDS=("$0" run hf : org/m); COMP_CWORD=4; _heddle; printf '%s\\n' "${COMPREPLY[@]}"
COMP_WORDS=("$0" run hf :); COMP_CWORD=3; _heddle; printf '%s\\n' "${COMPREPLY[@]}"
COMP_WORDS=("$0" run hf:org/m); COMP_CWORD=2; _heddle; printf '%s\\n' "${COMPREPLY[@]}"'''
        run = subprocess.run(["bash", "--norc", "-c", script, HEDDLE], capture_output=True, cwd=folder(), timeout=60,
                             env=dict(os.environ, **self.environment()))
        self.assertEqual((run.stdout.decode().split(), run.stderr), (["org/model", "org/model", "hf:org/model"], b""))


if __name__ == "__main__":
    main()
