"""Warm fits: every problem by every library, with its time in multiples of glmmjax's."""

from __future__ import annotations

from benchmarks.libraries import LIBRARIES
from benchmarks.libraries.base import Library, Result, Skipped
from benchmarks.problems import PROBLEMS, Problem
from benchmarks.table import Table, seconds, times

__all__ = ["print_fits", "print_versions"]

_REFERENCE = "glmmjax"


def print_versions() -> None:
    """Which libraries are here."""
    print("; ".join(f"{name} {library.version() or 'not installed'}" for name, library in LIBRARIES.items()))


def print_fits(largest: int, names: list[str]) -> None:
    """A block a problem with log-likelihood and estimates, then all times in one table."""
    here = [name for name in names if LIBRARIES[name].version() is not None]
    problems = [problem for problem in PROBLEMS if len(problem.data) <= largest]
    found = [dict(_print_problem(problem, here)) for problem in problems]
    table = Table(f"warm fits, and their time / {_REFERENCE}'s; L is Laplace's method", "", *here, label_width=26, width=16)
    for problem, results in zip(problems, found, strict=True):
        table.row(problem.name, *(_cell(results[name], results) for name in here))


def _print_problem(problem: Problem, names: list[str]) -> list[tuple[str, Result | str]]:
    """Results by library, or why there is none."""
    print(f"\n{problem.name}: {problem.fixed}, {problem.random}, {problem.n_agq} points; {len(problem.data):,} rows", flush=True)
    found = []
    for name in names:
        result = _result(LIBRARIES[name], problem)
        print(f"  {name:13s} {result if isinstance(result, str) else _described(result)}", flush=True)
        found.append((name, result))
    return found


def _result(library: Library, problem: Problem) -> Result | str:
    if len(problem.data) > library.max_rows:
        return f"skipped: not run above {library.max_rows:,} rows"
    try:
        return library.fit(problem)
    except Skipped as reason:
        return f"skipped: {reason}"
    except Exception as error:  # a peer that fails must not end the comparison
        return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:150]}"


def _described(result: Result) -> str:
    estimates = ", ".join(f"{value:.4f}" for value in result.estimates.values())
    runs = "" if result.runs > 1 else " (timed once)"
    note = f"  [{result.note}]" if result.note else ""
    return f"{result.seconds_warm:10.4f} s{runs}  logLik {result.loglik:.4f}  {estimates}{note}"


def _cell(result: Result | str, results: dict[str, Result | str]) -> str:
    if isinstance(result, str):
        return "-"
    reference = results.get(_REFERENCE)
    ratio = (
        "" if result is reference or not isinstance(reference, Result) else f" {times(result.seconds_warm / reference.seconds_warm):>5s}"
    )
    return f"{seconds(result.seconds_warm)}{' L' if result.note == 'Laplace' else ''}{ratio}"
