"""All hostile inputs in worker processes, a line for each that is bad, and the table by section."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.stress.hostile.judge import BAD, Input, Verdict
from benchmarks.stress.hostile.texts import texts
from benchmarks.stress.workers import Work, answered, serve

__all__ = ["SECTIONS", "inputs", "run_all"]

# section: seconds in which an input has to end, and of how many consecutive inputs a short run takes one
SECTIONS: dict[str, tuple[int, int]] = {
    "formulas": (30, 1),
    "texts": (30, 3),
    "frames": (90, 4),
    "arguments": (90, 4),
    "methods": (120, 8),
    "files": (60, 4),
    "commands": (130, 12),
    "memory": (200, 10**9),
}
_CORPUS = Path(__file__).parent / "corpus"

Task = tuple[str, Input]


def inputs(section: str) -> Iterator[Input]:
    """The inputs of a section."""
    if section == "texts":
        yield from texts()
        return
    for line in (_CORPUS / f"{section}.txt").read_text(encoding="utf-8").splitlines():
        want, text = line.split("\t", 1)
        yield Input(want, text)


def run_all(is_short: bool, jobs: int, cache: Path | None = None, sections: tuple[str, ...] = tuple(SECTIONS)) -> bool:
    """Run them and print what is bad; whether nothing is."""
    tasks: list[Task] = []
    for section in sections:
        every = SECTIONS[section][1] if is_short else 1
        tasks += [(section, one) for one in list(inputs(section))[every // 2 :: every]]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    longest = max(SECTIONS[section][0] for section in sections) + 60
    for end in answered(Work(_live, (cache,), longest), tasks, jobs, group=lambda task: task[0]):
        section, one = end.task
        found = end.answer if end.status == "ok" else Verdict("hang" if end.status == "hang" else "foreign", f"the process {end.status}")
        counts[section][found.outcome] += 1
        if found.outcome in BAD:
            print(f"{found.outcome:8} {section:10} {one.text[:160]}: {' '.join(found.text.split())[-300:]}", flush=True)
    d = table(counts)
    print(d.to_string())
    held = not d.loc["all", ["foreign", "wrong", "hang", "code"]].any()
    print(f"{'held  ' if held else 'FAILED'} every hostile input ends in an answer or in an error of our own")
    return bool(held)


def table(counts: dict[str, Counter[str]]) -> pd.DataFrame:
    """How many came to what, by section."""
    columns = ["own", "fit", "refused", "foreign", "wrong", "hang", "code", "skip"]
    d = pd.DataFrame({section: {name: found[name] for name in columns} for section, found in counts.items()}, index=columns).T
    d.loc["all"] = d.sum()
    d.insert(0, "inputs", d.sum(axis=1))
    return d


def _live(pipe: Any, cache: Path | None) -> None:
    """The life of a worker."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    from benchmarks.stress.hostile import command_line, judge, names, saved
    from glmmjax import program_store

    if cache is not None:
        program_store(cache)
    known = names.names() | saved.names() | command_line.names()

    def answer(task: Task) -> Verdict:
        section, one = task
        try:
            return judge.judged(one, known, SECTIONS[section][0])
        finally:
            _close_figures()

    serve(pipe, answer)


def _close_figures() -> None:
    from matplotlib import pyplot

    pyplot.close("all")
