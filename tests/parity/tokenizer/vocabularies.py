#!/usr/bin/env python3
"""vocabularies.py TOOL - the vocabularies with tests that llama.cpp's source package on PyPI carries, run whole.

TOOL is token_ids. The package (77 MB) is fetched with pip into ~/.cache/heddle-tests (or XDG_CACHE_HOME), once; where that is
impossible the exit status is 77, skipped, with the reason. Exit status 1 at any text whose ids differ.
"""
import glob
import json
import os
import subprocess
import sys
import tarfile

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
FOLDER = "/vendor/llama.cpp/models/ggml-vocab-"


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def fetched():
    """The folder of the vocabularies."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    place = os.path.join(cache, "heddle-tests", f"{PACKAGE}-{VERSION}")
    done = os.path.join(place, "complete")
    if os.path.exists(done):
        return place
    try:
        os.makedirs(place, exist_ok=True)
    except OSError as error:
        skip(f"{place} cannot be made: {error.strerror}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE, "--dest", place,
               f"{PACKAGE}=={VERSION}"]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=540)
    except subprocess.TimeoutExpired:
        skip(f"{PACKAGE} {VERSION} could not be fetched with pip in 9 minutes")
    archives = glob.glob(os.path.join(place, "*.tar.gz"))
    if run.returncode or not archives:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        skip(f"{PACKAGE} {VERSION} could not be fetched with pip: {last[-300:]}")
    with tarfile.open(archives[0]) as archive:
        for member in archive:
            if FOLDER in member.name and member.isfile():
                with open(os.path.join(place, os.path.basename(member.name)), "wb") as out:
                    out.write(archive.extractfile(member).read())
    os.unlink(archives[0])
    with open(done, "w", encoding="utf8"):
        pass
    return place


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: vocabularies.py TOOL")
    place = fetched()
    vocabularies = sorted(name[:-len(".inp")] for name in glob.glob(os.path.join(place, "ggml-vocab-*.gguf.inp")))
    if len(vocabularies) < 15:
        sys.exit(f"vocabularies.py: {place} holds {len(vocabularies)} vocabularies with tests, not 15; delete it and try again")
    texts = wrong = 0
    for path in vocabularies:
        with open(path + ".inp", encoding="utf8", newline="") as file:
            inputs = file.read().split("\n__ggml_vocab_test__\n")
        with open(path + ".out", encoding="utf8") as file:
            expected = [[int(word) for word in line.split()] for line in file.read().split("\n")]
        lines = "".join(json.dumps({"text": text, "parse_special": False}) + "\n" for text in inputs)
        run = subprocess.run([sys.argv[1], path], input=lines, capture_output=True, text=True)
        answers = [json.loads(line) for line in run.stdout.splitlines()] if run.returncode == 0 else []
        name = os.path.basename(path)
        if len(answers) != len(inputs) or len(expected) < len(inputs):
            print(f"{name}: {run.stderr.strip() or 'as many texts as lists of ids are needed'}")
            wrong += len(inputs)
            continue
        different = [i for i, answer in enumerate(answers) if answer != expected[i]]
        for i in different[:5]:
            print(f"{name}: {inputs[i][:100]!r}: {answers[i][:30]}, not {expected[i][:30]}")
        print(f"{name}: {len(inputs) - len(different)} of {len(inputs)} equal")
        texts += len(inputs)
        wrong += len(different)
    print(f"{len(vocabularies)} vocabularies, {texts} texts, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
