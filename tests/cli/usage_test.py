"""usage_test.py HEDDLE - wrong command lines end with one line on stderr, nothing on stdout, and the exit status of their kind."""
import os
import re
import subprocess
import sys
import tempfile

heddle = sys.argv[1]
failures = 0

with tempfile.TemporaryDirectory() as home:
    environment = dict(os.environ, HOME=home, XDG_DATA_HOME=f"{home}/data", XDG_CACHE_HOME=f"{home}/cache")
    paths = {name: os.path.join(home, name) for name in ("text.txt", "latin1.txt", "short.gguf", "nogguf.bin", "folder")}
    open(paths["text.txt"], "w").write("A short text.")
    open(paths["latin1.txt"], "wb").write(b"caf\xe9")
    open(paths["short.gguf"], "wb").write(b"GGUF\x03\x00")
    open(paths["nogguf.bin"], "wb").write(b"something else")
    os.mkdir(paths["folder"])

    CASES = [  # arguments, exit status, what the line must say
        ([], 2, None),  # prints the help
        (["frobnicate"], 2, "no command 'frobnicate'"),
        (["run"], 2, "MODEL is required"),
        (["run", "m", "--no-such-option"], 2, "--no-such-option"),
        (["run", "m", "-p", "x", "--ranks", "0"], 2, "--ranks: must be from 1 to 1024, not 0"),
        (["run", "m", "-p", "x", "--ranks", "1000000"], 2, "--ranks: must be from 1 to 1024, not 1000000"),
        (["run", "m", "-p", "x", "--threads", "0"], 2, "--threads: must be from 1 to 1024, not 0"),
        (["serve", "m", "--threads", "1000000"], 2, "--threads: must be from 1 to 1024, not 1000000"),
        (["run", "m", "-p", "x", "--ranks", "two"], 2, "--ranks"),
        (["run", "m", "-p", "x", "--seed", "18446744073709551616"], 2, "from 0 to 18446744073709551615"),
        (["run", "m", "-p", "x", "--temperature", ""], 2, "--temperature"),
        (["run", "m", "-p", "x", "--context", "0"], 2, "--context"),
        (["run", "m", "-p", "x", "--kv-memory", "4X"], 2, "'4X' is no size"),
        (["run", "m", "-p", "x", "--kv-memory", "0"], 2, "--kv-memory: must be at least 1 byte, not 0"),
        (["serve", "m", "--kv-memory", "8E"], 2, "--kv-memory: must be less than 1024T, not 8E"),
        (["run", "m", "-p", "x", "--temperature", "11"], 2, "--temperature"),
        (["run", "m", "-p", "x", "--temperature", "nan"], 2, "--temperature"),
        (["run", "m", "-p", "x", "--top-p", "1.5"], 2, "--top-p"),
        (["run", "m", "-p", "x", "--logprobs", "21"], 2, "--logprobs"),
        (["run", "m", "-p", "x", "-n", "0"], 2, "-n,--tokens: must be at least 1, not 0"),
        (["ask", "a:1", "-p", "x", "-n", "18446744073709551616"], 2, "-n,--tokens: must be from 1 to 9223372036854775807"),
        (["run", "m", "-p", ""], 2, "-p is empty"),
        (["run", "m", "-p", b"\xff\xfe"], 2, "not UTF-8 at byte 0"),
        (["run", "m", "--json"], 2, "need a prompt"),
        (["run", "m", "-p", "x", "--hostfile", paths["folder"]], 2, "--hostfile"),
        (["run", "nosuchmodel", "-p", "x"], 1, "neither a file nor a pulled model"),
        (["run", "smollm2-135m", "-p", "x"], 1, "heddle pull smollm2-135m"),
        (["run", "/no/such.gguf", "-p", "x"], 1, "does not exist"),
        (["run", paths["folder"], "-p", "x"], 1, "config.json"),
        (["run", paths["nogguf.bin"], "-p", "x"], 1, "no GGUF file"),
        (["compile", paths["short.gguf"]], 1, "short.gguf"),
        (["compile", "m", "--target", "arm"], 2, "--target: must be one of"),
        (["compile", "m", "--emit", "graph", "-o", "x"], 2, "excludes"),
        (["compile", paths["short.gguf"], "-o", ""], 2, "-o is empty"),
        (["inspect", "m", "--stage", "nothing"], 2, "--stage: must be one of"),
        (["inspect", "m", "--function", "f"], 2, "--function needs a stage"),
        (["eval", "m"], 2, "--text is required"),
        (["eval", "m", "--text", "/no/such.txt"], 2, "is no file"),
        (["eval", "m", "--text", paths["text.txt"], "--chunk", "0"], 2, "--chunk"),
        (["bench", "m", "--parallel", "0"], 2, "--parallel"),
        (["serve", "m", "--grpc", "nonsense"], 2, "--grpc"),
        (["ask", "127.0.0.1:1", "-p", "x"], 1, "no server at 127.0.0.1:1"),
        (["ask", "127.0.0.1:1", "--raw"], 2, "--raw"),
        (["pull", "nosuch"], 1, "no known model is called 'nosuch'"),
        (["pull"], 2, "--list"),
    ]
    for arguments, status, expected in CASES:
        run = subprocess.run([heddle, *arguments], env=environment, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        error = run.stderr.decode(errors="replace")
        lines = [line for line in error.splitlines() if not line.startswith("compiling ")]
        right = run.returncode == status
        if expected is not None:
            right = right and len(lines) == 1 and expected in lines[0] and not run.stdout
        if not right:
            failures += 1
            print(f"{arguments}: expected status {status} and one line with {expected!r}, got {run.returncode} and {error!r}")
    left = [os.path.join(folder, file) for folder, _, files in os.walk(f"{home}/cache") for file in files if "plan" in folder]
    if left:
        failures += 1
        print(f"something was left in the plan cache: {left}")
    # Whatever takes a number refuses what is none. Numbers are the options whose value has a name of one letter, or one of these.
    numbers = re.compile(r"^ +(?:-\w,)?(--[\w-]+) ([A-Z]|TOKENS|SECONDS|SIZE)\b", re.M)
    for command, start in {"run": ["m", "-p", "x"], "serve": ["m"], "ask": ["h:1", "-p", "x"], "bench": ["m"],
                           "eval": ["m", "--text", paths["text.txt"]]}.items():
        page = subprocess.run([heddle, command, "--help"], env=environment, capture_output=True, timeout=60).stdout.decode()
        found = numbers.findall(page)
        if len(found) < 3:
            failures += 1
            print(f"{command} --help names only {found} as options of numbers")
        for option, _ in found:
            for value in ("", "0x10"):
                run = subprocess.run([heddle, command, *start, option, value], env=environment, capture_output=True, timeout=60)
                if run.returncode != 2 or option not in run.stderr.decode() or run.stderr.count(b"\n") != 1:
                    failures += 1
                    print(f"{command} {option} {value!r}: status {run.returncode}, {run.stderr!r}")
    for command in ("pull", "compile", "run", "serve", "ask", "inspect", "eval", "bench", "doctor"):
        run = subprocess.run([heddle, command, "--help"], env=environment, capture_output=True, timeout=60)
        if run.returncode != 0 or run.stderr or f"heddle {command}" not in run.stdout.decode():
            failures += 1
            print(f"{command} --help: status {run.returncode}, {run.stderr!r}")

print(f"{len(CASES)} command lines, {failures} failures")
sys.exit(1 if failures else 0)
