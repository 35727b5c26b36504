"""``make stress``: the campaign, its peers and the hostile inputs in one run; the exit status is 1 where a goal fails."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

# one thread a worker; set before any of the libraries is loaded
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_FULL = 2_000
_SHORT = 330  # of which one in three is of the models of a short run
_PEERS = 200


def main() -> int:
    """Run what the arguments name."""
    options = _options()
    held = []
    if options.one is not None:
        return _one(options)
    if "data" in options.part:
        held.append(_data(options))
    if "hostile" in options.part and not options.report:
        from benchmarks.stress.hostile.run import run_all

        held.append(run_all(is_short=options.short, jobs=options.jobs, cache=options.cache))
    if "peers" in options.part:
        held.append(_peers(options))
    return int(not all(held))


def _data(options: argparse.Namespace) -> bool:
    from benchmarks.stress.campaign import Plan, run
    from benchmarks.stress.report import read, report

    if not options.report:
        from benchmarks.stress.trial import COLUMNS

        families, minutes = tuple(options.families), options.minutes or float("inf")
        run(Plan(options.seed, options.n, options.out, families, options.short, minutes, options.jobs, options.cache), COLUMNS)
    d = read(options.out, options.seed)
    return report(d[d["family"].isin(options.families)] if options.families else d)


def _peers(options: argparse.Namespace) -> bool:
    if shutil.which("Rscript") is None:
        print("no R here: lme4, glmmTMB and GLMMadaptive are not compared")
        return True
    from benchmarks.stress.peers import compare

    return compare(options.seed, options.peers, options.out.with_suffix(".peers.csv"), options.cache)


def _one(options: argparse.Namespace) -> int:
    from benchmarks.stress.trial import row_of
    from glmmjax import program_store

    program_store(options.cache)
    print(json.dumps({name: str(value) for name, value in row_of(options.seed, options.one).items()}, indent=1))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stress", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n", type=int, help=f"number of data sets (default: {_FULL}, {_SHORT} with --short)")
    parser.add_argument("--out", type=Path, help="the record; a later call goes on where it ends (default: build/stress-SEED.csv)")
    parser.add_argument("--families", nargs="*", default=[], help="some families only")
    parser.add_argument("--minutes", type=float, help="stop the data sets after so long; the same call goes on")
    parser.add_argument("--short", action="store_true", help="few models, few hostile inputs, no peers: some ten minutes on two cores")
    parser.add_argument("--part", action="append", choices=["data", "hostile", "peers"], help="one part only; may be given again")
    parser.add_argument("--peers", type=int, default=_PEERS, help="data sets of the comparison with R")
    parser.add_argument("--report", action="store_true", help="the tables of the record, no fits")
    parser.add_argument("--one", type=int, help="one data set in full")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--cache", type=Path, default=Path("build/programs"), help="folder of compiled programs")
    options = parser.parse_args()
    options.n = options.n or (_SHORT if options.short else _FULL)
    options.out = options.out or Path("build") / f"stress-{options.seed}{'-short' if options.short else ''}.csv"
    options.part = options.part or (["data", "hostile"] if options.short else ["data", "hostile", "peers"])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    sys.exit(main())
