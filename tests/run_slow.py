"""Run the slow tests, two processes at a time; the exit status is 1 where a test fails.

A process keeps what it compiles: one that lived through all tests came to hold five gigabytes, and died. But one for each file makes the
same fits again and again. So the files of a folder share a process, and so do those that look at the fits of the reference cases. All share
compiled programs on disk (``tests/conftest.py``), also those of ``make test``.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
N_PROCESSES = 2
LIMIT_S = 2_400  # of one process; on idle cores none takes 600
REFERENCE_CASES = "reference cases"
ALONE = ("tests/families/test_recovery.py", "tests/families/test_limits.py")
FIRST = ("postfit", REFERENCE_CASES, ALONE[0], "estimation", "families", "devices")  # what takes longest begins first
PYTEST = [sys.executable, "-m", "pytest", "-q", "-m", "slow"]


def main() -> int:
    """Print the output of each process as it ends, and the time of all."""
    found = subprocess.run([*PYTEST, "--collect-only"], cwd=ROOT, capture_output=True, text=True)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(re.findall(r"^(tests/[^:\n]+\.py)::", found.stdout, flags=re.MULTILINE)):
        groups[_group_of(name)].append(name)
    if found.returncode or not groups:
        print(found.stdout, found.stderr)
        return 1
    order = [*(name for name in FIRST if name in groups), *(name for name in groups if name not in FIRST)]
    began = time.monotonic()
    with ThreadPoolExecutor(N_PROCESSES) as pool:
        passed = list(pool.map(lambda name: _passes(name, groups[name]), order))
    used, minutes = resource.getrusage(resource.RUSAGE_CHILDREN), (time.monotonic() - began) / 60
    print(f"{sum(passed)} of {len(passed)} passed, in {minutes:.0f} minutes and {used.ru_utime + used.ru_stime:.0f} s of CPU")
    return int(not all(passed))


def _group_of(name: str) -> str:
    if name in ALONE:
        return name
    if name == "tests/test_reference_fits.py" or "postfit_case" in (ROOT / name).read_text(encoding="utf-8"):
        return REFERENCE_CASES
    folder = name.split("/")[1]
    return name if folder.endswith(".py") else folder


def _passes(group: str, names: list[str]) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([*PYTEST, "--durations=10", *names], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        timer = threading.Timer(LIMIT_S, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)  # in the place of process.wait, for the time and the memory of this child alone
        timer.cancel()
        ended = process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().strip()
    verdict = {0: "passed", -signal.SIGKILL: f"KILLED (for memory, or after {LIMIT_S} s)"}.get(ended, f"FAILED ({ended})")
    cost = f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU, {used.ru_maxrss / 1e6:.1f} GB"
    print(f"--- {group}: {verdict} in {cost}\n{text}", flush=True)
    return ended == 0


if __name__ == "__main__":
    sys.exit(main())
