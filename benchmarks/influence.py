"""Leave-one-cluster-out refits and the bootstrap, in multiples of one warm fit, and lme4's influence beside them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import glmmjax as gj
from benchmarks.problems import PROBLEMS, Problem
from benchmarks.table import Table, seconds, times
from benchmarks.timing import clock
from glmmjax.postfit.refitting.influence import Influence, cooks_distances, refitted_without

__all__ = ["print_influence"]

_DATA_SETS = 100  # of a bootstrap
_LME4 = """
options(warn = -1)
d <- read.csv("{csv}"); d$sex <- factor(d$sex, levels = c("male", "female")); d$id <- factor(d$id)
fit <- lme4::glmer(y ~ sex * time + (1 | id), d, binomial, nAGQ = 11)
one <- median(replicate(5, system.time(lme4::glmer(y ~ sex * time + (1 | id), d, binomial, nAGQ = 11))[["elapsed"]]))
cat(one, system.time(influence(fit, groups = "id"))[["elapsed"]])
"""


def print_influence(with_r: bool = True) -> None:
    """A line a problem; times of everything warm, without compilation. R's take a minute."""
    table = Table("refits from a warm start, and their time / a warm fit's", "", "fit", "Cook's, refits", "one step", "bootstrap", width=20)
    for problem in PROBLEMS[:3]:
        table.row(problem.name, *_cells(problem))
    found = _in_r() if with_r else None
    if found is not None:
        one, refits = found
        table.row(f"lme4, {PROBLEMS[0].name}", seconds(one), f"{seconds(refits)} {times(refits / one):>6s}")


def _cells(problem: Problem) -> list[str]:
    def fit() -> gj.MixedModelResults:
        return gj.mixed_model(problem.fixed, problem.random, data=problem.data, family=problem.family, n_agq=problem.n_agq)

    results = fit()
    fitted = results.fitted_model
    runs = (
        fit,
        lambda: refitted_without(fitted),
        lambda: cooks_distances(Influence(fitted), "one_step"),
        lambda: results.bootstrap(n=_DATA_SETS),
    )
    for run in runs:
        run()
    one, *others = (clock(run).wall for run in runs)
    return [seconds(one), *(f"{seconds(taken)} {times(taken / one):>6s}" for taken in others)]


def _in_r() -> tuple[float, float] | None:
    """Seconds of lme4's fit and of its ``influence`` by cluster, for the introductory example; None where R or lme4 is not here."""
    if shutil.which("Rscript") is None:
        return None
    script = _LME4.format(csv=Path("glmmjax/datasets/intro_binomial.csv").as_posix())
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True)
    taken = done.stdout.split()
    return (float(taken[-2]), float(taken[-1])) if done.returncode == 0 and len(taken) > 1 else None
