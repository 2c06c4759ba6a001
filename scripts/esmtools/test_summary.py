"""Sums up a run of ctest by test case: a suite of GoogleTest is one test of ctest and has many cases."""

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from esmtools.commands import run_command

CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] \S.* \(\d+ ms\)$", re.MULTILINE)
NO_GPU = re.compile(r"no GPU.*\n(?:.*\n)?\[  SKIPPED \]")


class Counts(NamedTuple):
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    without_gpu: int = 0  # of the skipped

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def count_test(test: ElementTree.Element) -> Counts:
    """One test of ctest. A suite that fails without a failed case, as by a crash, counts as one."""
    status = test.get("status")
    output = test.findtext("system-out") or ""
    cases = [found.group(1) for found in CASE.finditer(output)]
    if not cases:
        is_skipped = test.find("skipped") is not None
        return Counts(int(status == "run"), int(status != "run" and not is_skipped), int(is_skipped))
    failed = max(cases.count("FAILED"), int(status == "fail"))
    return Counts(cases.count("OK"), failed, cases.count("SKIPPED"), len(NO_GPU.findall(output)))


def test_summary(junit: Path) -> None:
    """Print the summary of what `ctest --output-junit JUNIT` wrote."""
    total = Counts()
    for test in ElementTree.parse(junit).getroot().iter("testcase"):
        total = total.plus(count_test(test))
    print()
    if total.without_gpu:
        print(f"{total.without_gpu} GPU tests skipped: this machine has no GPU")
    if total.skipped > total.without_gpu:
        print(f"{total.skipped - total.without_gpu} other tests skipped")
    print(f"{total.passed} passed, {total.failed} failed")


if __name__ == "__main__":
    run_command(test_summary)
