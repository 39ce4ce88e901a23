#!/usr/bin/env python3
"""Speed of llama.cpp on a GGUF file, measured as `heddle bench` measures: pip install llama-cpp-python numpy.

  measure_llama_cpp.py MODEL.gguf --threads 2 -p 512 -n 64 [--parallel B] [-r REPEATS]      prints one JSON object of medians

Random token ids. Prompt: in chunks of 512, logits of the last position only. Decode: from an empty context, one token of every
sequence a step, logits every step, no sampling.
"""
import argparse
import json
import random
import statistics
import time

import llama_cpp as llama


class Peer:
    """One model and one context; sequences 0 … parallel-1."""

    def __init__(self, path, threads, context, parallel):
        self.quiet = llama.llama_log_callback(lambda level, text, data: None)  # kept: the library holds a bare pointer to it
        llama.llama_log_set(self.quiet, None)
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp cannot load it")
        params = llama.llama_context_default_params()
        params.n_ctx = context * parallel
        params.n_batch = params.n_ubatch = 512
        params.n_seq_max = parallel
        params.n_threads = params.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, params)
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.random = random.Random(1)

    def forget(self):
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def step(self, entries):
        """entries: (position, sequence, whether its logits are wanted), a random token each."""
        batch = llama.llama_batch_init(len(entries), 0, 1)
        batch.n_tokens = len(entries)
        for i, (position, sequence, wanted) in enumerate(entries):
            batch.token[i] = self.random.randrange(100, self.vocabulary - 100)
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wanted
        if llama.llama_decode(self.context, batch):
            raise SystemExit("llama.cpp failed to decode")
        llama.llama_synchronize(self.context)
        llama.llama_batch_free(batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--tokens", type=int, default=64)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("-r", "--repeat", type=int, default=1)
    options = parser.parse_args()
    peer = Peer(options.model, options.threads, options.prompt + options.tokens + 16, options.parallel)
    prefill, decode = [], []
    for run in range(options.repeat + 1):  # the first one warms up
        peer.forget()
        begin = time.perf_counter()
        for start in range(0, options.prompt, 512):
            end = min(start + 512, options.prompt)
            peer.step([(p, 0, p == end - 1) for p in range(start, end)])
        prompt_seconds = time.perf_counter() - begin
        peer.forget()
        peer.step([(0, s, True) for s in range(options.parallel)])
        begin = time.perf_counter()
        for i in range(options.tokens):
            peer.step([(i + 1, s, True) for s in range(options.parallel)])
        decode_seconds = time.perf_counter() - begin
        if run:
            prefill.append(options.prompt / prompt_seconds)
            decode.append(options.tokens * options.parallel / decode_seconds)
    print(json.dumps({"engine": "llama.cpp", "prefill_tokens_per_second": statistics.median(prefill),
                      "decode_tokens_per_second": statistics.median(decode)}))


if __name__ == "__main__":
    main()
