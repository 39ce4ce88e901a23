#!/usr/bin/env python3
"""Speed of OpenVINO GenAI on a GGUF file, measured as `heddle bench` measures: pip install openvino-genai numpy.

  measure_openvino.py MODEL.gguf --threads 2 -p 512 -n 64 [--parallel B] [-r REPEATS]      prints one JSON object of medians

Random token ids. Prompt: time to the first token. Decode: from one token of each sequence, time per step, greedy (the pipeline has
no way to leave sampling out). Keys and values in f16; everything else as it chooses, dynamic quantisation included. Its GGUF reader knows few architectures; for the others this fails, and says so.
"""
import argparse
import json
import random
import statistics

import numpy
import openvino
import openvino_genai


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--tokens", type=int, default=64)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("-r", "--repeat", type=int, default=1)
    options = parser.parse_args()
    pipeline = openvino_genai.LLMPipeline(options.model, "CPU", INFERENCE_NUM_THREADS=options.threads, KV_CACHE_PRECISION="f16")
    vocabulary = len(pipeline.get_tokenizer().get_vocab())
    pick = random.Random(1)

    def generate(sequences, length, new_tokens):
        ids = numpy.array([[pick.randrange(100, vocabulary - 100) for _ in range(length)] for _ in range(sequences)])
        config = openvino_genai.GenerationConfig(max_new_tokens=new_tokens, ignore_eos=True, do_sample=False)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
        return pipeline.generate(inputs, config).perf_metrics

    prefill, decode = [], []
    for run in range(options.repeat + 1):  # the first one warms up
        prompt_ms = generate(1, options.prompt, 1).get_ttft().mean
        metrics = generate(options.parallel, 1, options.tokens + 1)
        # Not get_tpot(), which divides by the tokens of all sequences.
        step_ms = (metrics.get_generate_duration().mean - metrics.get_ttft().mean) / options.tokens
        if run:
            prefill.append(options.prompt / prompt_ms * 1000)
            decode.append(options.parallel / step_ms * 1000)
    print(json.dumps({"engine": "OpenVINO GenAI", "prefill_tokens_per_second": statistics.median(prefill),
                      "decode_tokens_per_second": statistics.median(decode)}))


if __name__ == "__main__":
    main()
