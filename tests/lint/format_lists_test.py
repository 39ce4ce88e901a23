#!/usr/bin/env python3
"""format_lists_test.py ROOT - no source outside of the formats' own files names several of them: that would be a list to keep.

The table of formats is made from the names of the files (runtime/quant/CMakeLists.txt). Comments may name formats, and tests.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
OWN = ("runtime/quant/formats/", "compiler/kernels/formats/")
names = [path.stem for path in (ROOT / OWN[0]).glob("*.cpp") if "_" in path.stem or "FP" in path.stem]  # floats are MLIR's types too
PATTERN = re.compile(r"(?<![A-Za-z0-9_])k?(" + "|".join(names) + r")(?![A-Za-z0-9_])", re.IGNORECASE)


def named(text):
    return {name.upper() for name in PATTERN.findall(re.sub(r"//[^\n]*", "", text))}


assert named('{"q4_0", &kQ8_0} // q5_0') == {"Q4_0", "Q8_0"}, "this test finds nothing"
sources = [path for folder in ("ir", "compiler", "runtime", "services", "tools") for path in (ROOT / folder).rglob("*")
           if path.suffix in (".cpp", ".h", ".td", ".inc") and not str(path.relative_to(ROOT)).startswith(OWN)]
assert len(names) > 5 and len(sources) > 100, f"{len(names)} formats, {len(sources)} sources: is {ROOT} the top folder of the project?"
lists = [(path, found) for path in sources if len(found := named(path.read_text())) > 1]
for path, found in lists:
    print(f"{path.relative_to(ROOT)}: names {' '.join(sorted(found))}: ask their traits (runtime/quant/Format.h)", file=sys.stderr)
sys.exit(1 if lists else 0)
