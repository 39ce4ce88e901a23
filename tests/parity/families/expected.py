#!/usr/bin/env python3
"""expected.py - makes expected/NAME.json with two independent implementations. Run by people, not by tests.

    expected.py [--check] [--seeds N] [NAME…]

Needs pip install torch transformers accelerate llama-cpp-python gguf numpy. Folders are computed by PyTorch transformers in double
precision, GGUF files by llama.cpp; where both can say the same model, their F32 logits must agree within AGREE, or nothing is
written. --check compares with what is committed instead of writing. --seeds N tells which of the seeds 1 to N give greedy answers
with the widest margins.
"""
import argparse
import ctypes
import importlib.metadata
import json
import os
import sys
import tempfile

import gguf
import llama_cpp
import numpy
import torch
import transformers

import arrays
import models
import tokens
from catalogue import ALL

HERE = os.path.dirname(os.path.abspath(__file__))
GREEDY = 64
AGREE = 1e-4
AGREE_GELU = 2e-2  # llama.cpp's GELU comes from a table of halves: what rounds to another entry there differs by 1/2048
MAKERS = ("torch", "transformers", "llama-cpp-python", "gguf")


class Folder:
    """transformers on a folder, in double precision with its plain attention and experts."""

    def __init__(self, path, gelu=None):
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64, attn_implementation="eager",
                                                                       experts_implementation="eager").double().eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        if gelu:
            for module in self.model.modules():
                for name in ("act", "act_fn"):
                    if hasattr(module, name):
                        setattr(module, name, gelu)

    def encode(self, text):
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def logits(self, ids):
        with torch.no_grad():
            return self.model(torch.tensor([ids]), use_cache=False).logits[0].double().numpy()

    def greedy(self, ids):
        """The answer and, of each step, by how much its token won."""
        ids, start, margins = list(ids), len(ids), []
        for _ in range(GREEDY):
            row = self.logits(ids)[-1]
            best, second = numpy.argsort(row)[:-3:-1]
            margins.append(float(row[best] - row[second]))
            ids.append(int(best))
        return ids[start:], margins


class TableGelu(torch.nn.Module):
    """llama.cpp's GELU (tanh): looked up in a table of halves, outside of ±10 exact."""

    def forward(self, x):
        half = x.float().half().float()
        inside = (0.5 * half * (1 + torch.tanh(0.7978845608028654 * half * (1 + 0.044715 * half * half)))).half().double()
        return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, inside))


class LlamaCpp:
    """llama.cpp on a file; `exact`: keys and values in F32 without flash attention, otherwise its defaults."""

    def __init__(self, path, exact, context):
        llama_cpp.llama_backend_init()
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)  # must outlive the calls
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            sys.exit(f"expected.py: llama.cpp cannot load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, 512, 512
        if exact:
            params.type_k = params.type_v = gguf.GGMLQuantizationType.F32
            params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.rows = llama_cpp.llama_vocab_n_tokens(self.vocabulary)

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def encode(self, text):
        data = text.encode()
        ids = (llama_cpp.llama_token * 512)()
        return list(ids[:llama_cpp.llama_tokenize(self.vocabulary, data, len(data), ids, 512, False, False)])

    def logits(self, ids):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
            batch.seq_id[i][0] = 0
        if llama_cpp.llama_decode(self.context, batch):
            sys.exit("expected.py: llama.cpp cannot compute")
        rows = [numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.context, i), shape=(self.rows,)).astype("f8")
                for i in range(len(ids))]
        llama_cpp.llama_batch_free(batch)
        return numpy.stack(rows)

    greedy = Folder.greedy


def dequantised(path, target):
    """A copy of a file with every tensor in F32, by gguf's own reading of the blocks."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, entry in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            writer.add_key_value(name, entry.contents(), entry.types[0], entry.types[1] if len(entry.types) > 1 else None)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        shape = tuple(reversed(tensor.shape.tolist()))
        writer.add_tensor(tensor.name, numpy.ascontiguousarray(values.reshape(shape), dtype="f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def over_many_texts(exact, usual, context):
    """Mean divergence from the exact logits over many texts."""
    found = []
    for text in tokens.many_texts(context):
        ids = exact.encode(text)
        assert ids == usual.encode(text)
        found.append(list(arrays.divergences(exact.logits(ids).tolist(), usual.logits(ids).tolist())))
    return arrays.mean_of_texts(found)


def described(rows, greedy, llama):
    answer, margins = greedy
    positions = [i for i in range(len(rows)) if i < 4 or i % 4 == 0 or i + 2 >= len(rows)]
    return {"positions": positions, "rows": arrays.packed(rows[positions].tolist()), "greedy": answer,
            "margins": [round(margin, 4) for margin in margins], "llama.cpp": llama}


def made(model, folder):
    """The expectations of a model, after comparing the two implementations with one another."""
    written = {form: models.write(model, kind, form, os.path.join(folder, f"{model.name}.{kind}.{form}")) for kind, form in
               models.forms(model) if kind == "folder"}
    files = {form: models.write(model, kind, form, os.path.join(folder, f"{model.name}.{form}.gguf")) for kind, form in
             models.forms(model) if kind == "gguf"}
    peer = Folder(written["f32"])
    ids = peer.encode(tokens.TEXT)
    reference = peer.logits(ids)
    notes = []
    for form in set(written) - {"f32"}:
        difference = numpy.abs(Folder(written[form]).logits(ids) - reference).max()
        notes.append(f"{form} folder {difference:.1e}")
        assert difference < 1e-9, f"{model.name}: the folder in {form} is another model, {difference}"
    greedy = peer.greedy(ids)
    context = 256  # what llama.cpp rounds up to; on which side of LongRoPE's original context it lies is the same for the text
    llama, result = {}, {}
    if files:
        exact = LlamaCpp(files["f32"], True, context)
        assert exact.encode(tokens.TEXT) == ids, f"{model.name}: {exact.encode(tokens.TEXT)} in llama.cpp, {ids} in transformers"
        gelu = model.architecture in ("gemma3", "gpt2")
        compared = Folder(written["f32"], TableGelu()).logits(ids) if gelu else reference
        rows = exact.logits(ids)
        difference = numpy.abs(rows - compared).max()
        notes.append(f"llama.cpp {difference:.1e}")
        if gelu:
            notes.append(f"{numpy.abs(rows - reference).max():.1e} before its GELU")
        assert difference < (AGREE_GELU if gelu else AGREE), f"{model.name}: transformers and llama.cpp differ by {difference}"
        llama_greedy, _ = exact.greedy(ids)
        notes.append("greedy " + ("equal" if llama_greedy == greedy[0] else "differs"))
        exact.close()
        exact = LlamaCpp(files["f32"], True, context)
        for form in files:
            if form == "mix":
                continue
            usual = LlamaCpp(files[form], False, context)
            if form == "mxfp4":
                llama[form] = over_many_texts(exact, usual, model.context)
            else:
                llama[form] = arrays.apart(reference.tolist(), usual.logits(ids).tolist())
            usual.close()
        exact.close()
        path = dequantised(files["mix"], os.path.join(folder, "dequantised.gguf"))
        exact, usual, mix = LlamaCpp(path, True, context), LlamaCpp(path, False, context), LlamaCpp(files["mix"], False, context)
        mixed, mixed_greedy = exact.logits(ids), exact.greedy(ids)
        result["mix"] = described(mixed, mixed_greedy, {models.EXACT: arrays.apart(mixed.tolist(), usual.logits(ids).tolist()),
                                                        "mix": over_many_texts(exact, mix, model.context)})
        for one in (exact, usual, mix):
            one.close()
        notes.append("mix kl {kl:.1e} ± {error:.0e}".format(**result["mix"]["llama.cpp"]["mix"]))
    result["f32"] = described(reference, greedy, llama)
    notes.append(f"margin {min(greedy[1]):.3f}")
    for form, entry in result.items():
        assert max(entry["greedy"]) < tokens.END, f"{model.name}: the greedy answer in {form} leaves the vocabulary"
    print(f"{model.name:20} {len(ids)} tokens, " + ", ".join(notes), flush=True)
    versions = {maker: importlib.metadata.version(maker) for maker in MAKERS}
    return {"made_with": versions, "seed": model.seed, "text": tokens.TEXT, "ids": ids, "forms": result}


def widest(model, seeds, folder):
    """The best seeds, by the narrowest margin of their exact answers; answers of few different tokens are left out."""
    found = []
    for seed in range(1, seeds + 1):
        model.seed = seed
        path = models.write(model, "folder", "f32", os.path.join(folder, str(seed)))
        peer = Folder(path)
        answer, margins = peer.greedy(peer.encode(tokens.TEXT))
        found.append((len(set(answer)) >= 12, round(min(margins), 4), seed, len(set(answer))))
    print(model.name, *[f"seed {seed}: margin {margin}, {different} tokens;" for _, margin, seed, different in
                        sorted(found, reverse=True)[:4]], flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("names", nargs="*", default=list(ALL))
    options = parser.parse_args()
    torch.set_num_threads(1)
    wrong = 0
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            if options.seeds:
                widest(ALL[name], options.seeds, folder)
                continue
            result = made(ALL[name], folder)
        path = os.path.join(HERE, "expected", name + ".json")
        if options.check:
            with open(path, encoding="utf8") as file:
                before = json.load(file)
            same = all(before["forms"][form]["greedy"] == entry["greedy"] and
                       before["forms"][form]["positions"] == entry["positions"] and
                       arrays.largest(arrays.unpacked(before["forms"][form]["rows"]), arrays.unpacked(entry["rows"])) < 1e-3
                       for form, entry in result["forms"].items())
            if not same:
                wrong += 1
                print(f"expected/{name}.json is not what comes out now")
        else:
            with open(path, "w", encoding="utf8") as file:
                json.dump(result, file, separators=(",", ":"))
                file.write("\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
