#!/usr/bin/env python3
"""tests/lint/fusion_reasons_test.py - each reason that a fusion names has a lit test that shows it.

The reasons are the texts of notifyMatchFailure in compiler/fusion. A test shows one where it runs that pass with explain=true and expects
the remark "not fused: REASON".
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
tests = [file.read_text() for file in sorted((root / "tests/lit/compiler").glob("*.mlir"))]
missing, reasons = [], 0
for file in sorted((root / "compiler/fusion").glob("*.cpp")):
    text = file.read_text()
    flag = re.search(r'flag = "([^"]+)"', text)
    named = re.findall(r'notifyMatchFailure\(\s*\w+,\s*"([^"]+)"', text)
    if not flag or not named or len(named) != text.count("notifyMatchFailure("):
        missing.append(f"{file.name}: no flag or reasons that are not plain texts: this test cannot read them")
        continue
    reasons += len(named)
    shown = "".join(test for test in tests if re.search(rf'-{flag[1]}="?explain=true', test))
    missing += [f"{file.name}: no test in tests/lit/compiler shows '{reason}'" for reason in named
                if f"{{{{not fused: {reason}}}}}" not in shown]
print(f"{reasons} reasons, {len(missing)} without a test")
sys.exit("\n".join(missing) or (0 if reasons else "no reasons in compiler/fusion"))
