"""Many data sets in worker processes, whose memory is bounded, into a CSV that a later call resumes."""

from __future__ import annotations

import csv
import dataclasses
import multiprocessing
import os
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any

from benchmarks.stress.cases import triple_of
from benchmarks.stress.grid import SHORT, family_of

__all__ = ["LIMIT_S", "Plan", "numbers", "run"]

LIMIT_S = 300.0  # of one data set with all its starts and their compilation: longer is a hang
_MOST_MB = 3_000  # of a worker, which makes room for a new one beyond it
_ROUND = 200  # consecutive data sets within which those of one program follow each other

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
    todo = deque(sorted((index for index in numbers(plan) if index not in done), key=lambda index: _order(plan.seed, index)))
    end, workers = time.monotonic() + 60 * plan.minutes, [_Worker(plan) for _ in range(min(plan.jobs, len(todo)))]
    with plan.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns)
        if is_new:
            writer.writeheader()
        while workers:
            for worker in workers:
                if worker.is_idle and todo and time.monotonic() < end:
                    worker.start(todo.popleft())
            for row in _finished(workers):
                writer.writerow({name: row.get(name, "") for name in columns})
                file.flush()
                print(_line(row), flush=True)
            if not todo or time.monotonic() > end:
                for worker in [worker for worker in workers if worker.is_idle]:
                    worker.stop()
                    workers.remove(worker)
    if todo:
        print(f"time is up: {len(todo)} data sets have not run; the same call goes on", flush=True)


def _done(plan: Plan) -> set[int]:
    with plan.out.open(newline="") as file:
        return {int(row["index"]) for row in csv.DictReader(file) if int(row["seed"]) == plan.seed}


def _order(seed: int, index: int) -> tuple[Any, ...]:
    """A program that is compiled, or read from disk, serves neighbours; and every part of a run has all families."""
    return (index // _ROUND, *triple_of(seed, index), index)


def _finished(workers: list[_Worker]) -> list[Row]:
    """The rows that have come in; a worker that hangs, dies or has grown is replaced."""
    ready = connection.wait([worker.pipe for worker in workers if not worker.is_idle], timeout=5.0)
    return [row for worker in workers if not worker.is_idle for row in worker.collect(worker.pipe in ready)]


class _Worker:
    """A process that runs one data set after another."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._index: int | None = None
        self._since = 0.0
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, self._plan.seed, self._plan.cache), daemon=True)
        self._process.start()
        other.close()

    @property
    def is_idle(self) -> bool:
        return self._index is None

    def start(self, index: int) -> None:
        self._index, self._since = index, time.monotonic()
        self.pipe.send(index)

    def collect(self, is_ready: bool) -> list[Row]:
        """The row of the data set where it has an end of any kind."""
        if not is_ready:
            return self._replaced("hang") if time.monotonic() - self._since > LIMIT_S else []
        try:
            row, megabytes = self.pipe.recv()
        except (EOFError, ConnectionError):
            return self._replaced("died")
        self._index = None
        if megabytes > _MOST_MB:
            self.stop()
            self._begin()
        return [row]

    def _replaced(self, status: str) -> list[Row]:
        index, self._index = self._index, None
        self._process.kill()
        self._process.join()
        self._begin()
        assert index is not None
        names = dict(zip(("family", "structure", "shape"), triple_of(self._plan.seed, index), strict=True))
        return [{"seed": self._plan.seed, "index": index, "status": status, "seconds": time.monotonic() - self._since, **names}]

    def stop(self) -> None:
        self.pipe.send(None)
        self._process.join(30)
        self._process.kill()


def _work(pipe: Any, seed: int, cache: Path | None) -> None:
    """The life of a worker."""
    from benchmarks.stress.trial import row_of
    from glmmjax import enable_compilation_cache

    if cache is not None:
        enable_compilation_cache(cache)
    serve(pipe, lambda index: row_of(seed, index))


def serve(pipe: Any, answer: Callable[[int], Row]) -> None:
    """Answer every number that comes, with the memory that the process takes by then, until None comes."""
    while (index := pipe.recv()) is not None:
        pipe.send((answer(index), _megabytes()))


def _megabytes() -> float:
    """Memory of this process now, or at most so far where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _line(row: Row) -> str:
    mark = "" if row["status"] == "ok" else row["status"]
    if row.get("converged") and row.get("gap", 0.0) > 1e-3:
        mark = f"WRONG by {row['gap']:.4g} (from {row['start']})"
    model = f"{row['index']:5d} {row['family']:25s} {row['structure']:4s} {row['shape']:6s}"
    return f"{model} {row.get('code', ''):24s} {row.get('seconds', 0.0):7.2f} s {mark}"
