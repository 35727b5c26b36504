"""Run the slow tests, each file in a process of its own, two at a time; the exit status is 1 where one fails.

A process keeps what it compiles: a worker that lived through all of them came to hold five gigabytes, and died. Files of their own also
keep both cores busy to the end. They share compiled programs on disk (``tests/conftest.py``), so that fits of many tests are compiled once.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
JOBS = 2
LIMIT_S = 1_500  # of one file
PYTEST = [sys.executable, "-m", "pytest", "-q", "-m", "slow"]


def main() -> int:
    """Longest files first, as far as the number of their tests tells."""
    found = subprocess.run([*PYTEST, "--collect-only"], cwd=ROOT, capture_output=True, text=True)
    files = Counter(re.findall(r"^(tests/[^:\n]+\.py)::", found.stdout, flags=re.MULTILINE))
    if found.returncode or not files:
        print(found.stdout, found.stderr)
        return 1
    with ThreadPoolExecutor(JOBS) as pool:
        return int(not all(list(pool.map(_passes, [name for name, _ in files.most_common()]))))


def _passes(name: str) -> bool:
    began = time.monotonic()
    try:
        done = subprocess.run([*PYTEST, "--durations=5", name], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
        text, ended = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        text, ended = f"{error.stdout!r}\n{name} did not end in {LIMIT_S} s", -1
    print(f"--- {name}: {'passed' if ended == 0 else f'FAILED ({ended})'} in {time.monotonic() - began:.0f} s\n{text.strip()}", flush=True)
    return ended == 0


if __name__ == "__main__":
    sys.exit(main())
