"""Many data sets in worker processes, whose memory is bounded, into a CSV that a later call resumes."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.stress.cases import triple_of
from benchmarks.stress.grid import SHORT, family_of
from benchmarks.stress.workers import Done, Work, answered, serve

__all__ = ["LIMIT_S", "Plan", "numbers", "run"]

LIMIT_S = 300.0  # of one data set with all its starts and their compilation: longer is a hang
_ROUND = 500  # consecutive data sets within which those of one program follow each other

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to run.

    Attributes
    ----------
    seed
    n : number of data sets
    out : the CSV
    families : some families only, all where empty
    is_short : only the models of a short run
    minutes : stop after so long
    jobs : number of workers
    cache : folder of compiled programs, for the workers and for later runs
    """

    seed: int
    n: int
    out: Path
    families: tuple[str, ...] = ()
    is_short: bool = False
    minutes: float = float("inf")
    jobs: int = 2
    cache: Path | None = None


def numbers(plan: Plan) -> Iterator[int]:
    """The data sets of a plan: ``n`` of them, or as many of the first ``n`` as are of some families or models."""
    for index in range(plan.n):
        if plan.families and family_of(index) not in plan.families:
            continue
        if not plan.is_short or triple_of(plan.seed, index) in SHORT:
            yield index


def run(plan: Plan, columns: tuple[str, ...]) -> None:
    """Run what the CSV does not hold yet; a line is printed for each data set."""
    is_new = not plan.out.exists()
    done = set() if is_new else _done(plan)
    todo = [index for index in numbers(plan) if index not in done]
    n_run, work = 0, Work(_work, (plan.seed, plan.cache), LIMIT_S)
    with plan.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns)
        if is_new:
            writer.writeheader()
        for n_run, end in enumerate(answered(work, todo, plan.jobs, plan.minutes, lambda index: _group(plan.seed, index)), 1):  # noqa: B007
            row = end.answer if end.status == "ok" else _lost(plan.seed, end)
            writer.writerow({name: row.get(name, "") for name in columns})
            file.flush()
            print(_line(row), flush=True)
    if n_run < len(todo):
        print(f"time is up: {len(todo) - n_run} data sets have not run; the same call goes on", flush=True)


def _done(plan: Plan) -> set[int]:
    with plan.out.open(newline="") as file:
        return {int(row["index"]) for row in csv.DictReader(file) if int(row["seed"]) == plan.seed}


def _group(seed: int, index: int) -> tuple[Any, ...]:
    """A program that is compiled, or read from disk, serves neighbours; and every part of a long run has all families."""
    return (index // _ROUND, *triple_of(seed, index))


def _lost(seed: int, end: Done) -> Row:
    """The row of a data set whose worker hung or died."""
    names = dict(zip(("family", "structure", "shape"), triple_of(seed, end.task), strict=True))
    return {"seed": seed, "index": end.task, "status": end.status, "seconds": end.seconds, **names}


def _work(pipe: Any, seed: int, cache: Path | None) -> None:
    """The life of a worker."""
    from benchmarks.stress.trial import row_of
    from glmmjax import program_store

    if cache is not None:
        program_store(cache)
    serve(pipe, lambda index: row_of(seed, index))


def _line(row: Row) -> str:
    mark = "" if row["status"] == "ok" else row["status"]
    if row.get("converged") and row.get("gap", 0.0) > 1e-3:
        mark = f"WRONG by {row['gap']:.4g} (from {row['start']})"
    model = f"{row['index']:5d} {row['family']:25s} {row['structure']:4s} {row['shape']:6s}"
    return f"{model} {row.get('code', ''):24s} {row.get('seconds', 0.0):7.2f} s {mark}"
