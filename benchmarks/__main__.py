"""``python -m benchmarks``: everything in one run. ``--quick`` leaves out what takes more than a few minutes in all."""

from __future__ import annotations

import argparse
import importlib.util

from benchmarks.cold import print_cold
from benchmarks.fits import print_fits, print_versions
from benchmarks.libraries import LIBRARIES
from benchmarks.timing import machine, version_of

_PARTS = ("likelihood", "fits", "cold")


def main() -> None:
    """Print the machine, the versions, then each part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most 10,000 rows (likelihood: 100,000), cold starts once")
    parser.add_argument("--part", choices=_PARTS, action="append", help="one part only; may be given again")
    parser.add_argument("--library", choices=list(LIBRARIES), action="append", help="one library only; may be given again")
    options = parser.parse_args()
    parts, names = options.part or _PARTS, options.library or list(LIBRARIES)

    print(machine())
    print(f"jax {version_of('jax') or 'not installed'}, numpy {version_of('numpy')}, pandas {version_of('pandas')}")
    print_versions()
    print("medians of five after a warm-up; a fit that takes longer than 20 s is timed once")
    if "likelihood" in parts and "glmmjax" in names and importlib.util.find_spec("jax"):
        from benchmarks.likelihood import print_likelihood

        print_likelihood((10_000, 100_000) if options.quick else (10_000, 100_000, 1_000_000))
    if "fits" in parts:
        print_fits(20_000 if options.quick else 1_000_000, names)
    if "cold" in parts:
        print_cold(names, 1 if options.quick else 5)


if __name__ == "__main__":
    main()
