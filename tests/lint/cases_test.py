"""cases_test.py ROOT - every test that tests/CASES.md names is there."""
import glob
import os
import re
import sys

root = sys.argv[1]
tests = set()  # "file: Class", "file: Class.test_name", "Suite", "Suite.Name"
for path in glob.glob(os.path.join(root, "tests/e2e/cli/*_test.py")):
    name, of = os.path.basename(path).removesuffix(".py"), None
    with open(path, encoding="utf8") as file:
        for line in file:
            if found := re.match(r"class (\w+)", line):
                of = found.group(1)
                tests.add(f"{name}: {of}")
            elif found := re.match(r"    def (test_\w+)", line):
                tests.add(f"{name}: {of}.{found.group(1)}")
for path in glob.glob(os.path.join(root, "tests/**/*.cpp"), recursive=True):
    with open(path, encoding="utf8") as file:
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", file.read(), re.M):
            tests |= {suite, f"{suite}.{name}"}

wrong = cases = 0
with open(os.path.join(root, "tests/CASES.md"), encoding="utf8") as file:
    rows = [line.strip("|\n ").split(" | ") for line in file if re.match(r"\| [A-Z]\d+ ", line)]
for case, _, where in rows:
    named = re.findall(r"`([^`]+)`", where)
    cases += bool(named)
    for test in (name for name in named if name != "tests/cli"):
        pattern = re.compile(re.escape(test.removesuffix(".*")).replace(r"\*", r"\w*") + "$")
        if not any(map(pattern.match, tests)):
            print(f"tests/CASES.md: {case.strip()}: there is no test {test}")
            wrong += 1
print(f"{cases} cases, {wrong} tests missing")
sys.exit(1 if wrong or cases < 40 else 0)
