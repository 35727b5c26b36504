"""Two levels of random effects: children of mothers in communities, beside lme4, and 100 simulated outcomes of such a design.

``rodriguez_goldman.csv.gz`` has the outcomes ``y001`` to ``y100`` that Rodriguez and Goldman (1995, Journal of the Royal Statistical
Society A 158, 73-89) simulated for 2,449 births in 1,558 families of 161 communities: an intercept of 0.65, coefficients of 1 and standard
deviations of 1 at both levels; as ``s3bbx`` and ``s3bby`` in the R package mlmRev.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.libraries.bench_r import version
from benchmarks.table import Table
from glmmjax.errors import ConvergenceWarning
from glmmjax.results import MixedModelResults

__all__ = ["print_levels"]

_FIXED = "kid2p + mom25p + ord + ethn + momEd + husEd + momWork + rural + pcInd81"
_TRUE = {"Intercept": 0.65, "chldcov": 1.0, "famcov": 1.0, "commcov": 1.0}
_COPIES = (1, 4, 16)
_FEW = 10  # outcomes of the loop in R
_CALL = """
suppressMessages(library(lme4)); d <- read.csv("{csv}", stringsAsFactors = TRUE)
run <- function(y) {{ d$y <- as.integer(y); glmer(y ~ {fixed} + (1 | {levels}), d, binomial) }}
for (y in {outcomes}) {{
  taken <- system.time(fit <- suppressWarnings(run(y)))[["elapsed"]]
  sd <- sqrt(unlist(VarCorr(fit)))
  cat(taken, as.numeric(logLik(fit)), fixef(fit)[[1]], rev(sd), "\\n")
}}
"""


def print_levels(n_outcomes: int) -> None:
    """The Guatemalan model by several rules, its cost by size, and ``n_outcomes`` outcomes of the simulation in one call."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    _print_immunisation()
    _print_sizes()
    _print_outcomes(n_outcomes)


def _print_immunisation() -> None:
    data = gj.datasets.load_immunisation()
    table = Table(
        "2,159 children of 1,595 mothers in 161 communities, binary outcome", "", "first", "warm", "log.Lik", "b0", "sd(comm)", "sd(mom)"
    )
    for name, n_agq in (("Laplace", 1), ("12 points a level", 12), ("default, settled", None)):
        (first, warm), fit = _timed(data, n_agq)
        table.row(name, f"{first:.2f} s", f"{warm:.2f} s", f"{fit.llf:.4f}", f"{fit.fe_params.iloc[0]:.3f}", *_deviations(fit))
    for taken, value, b0, *sd in _in_r(data.assign(y=(data["immun"] == "Y").astype(int)), _FIXED, "comm/mom", "list(d$y)"):
        table.row("lme4 (Laplace)", "", f"{taken:.2f} s", f"{value:.4f}", f"{b0:.3f}", *(f"{s:.3f}" for s in sd))


def _print_sizes() -> None:
    data = gj.datasets.load_immunisation()
    table = Table("the same, communities copied; 12 points a level", "copies", "rows", "warm", "us a row")
    for k in _COPIES:
        copied = pd.concat([data.assign(comm=data["comm"] + 1000 * copy) for copy in range(k)], ignore_index=True)
        (_, warm), _ = _timed(copied, 12)
        table.row(str(k), f"{len(copied):,}", f"{warm:.2f} s", f"{1e6 * warm / len(copied):.0f}")


def _print_outcomes(n: int) -> None:
    data = pd.read_csv(Path(__file__).parent / "rodriguez_goldman.csv.gz")
    outcomes = [f"y{k:03d}" for k in range(1, n + 1)]
    fit = functools.partial(
        gj.fit_many, "~ chldcov + famcov + commcov", "~ 1 | community/family", outcomes=data[outcomes], family="binomial"
    )
    columns = data[["chldcov", "famcov", "commcov", "community", "family"]]
    fit(data=columns)
    begun = time.perf_counter()
    many = fit(data=columns)
    taken = time.perf_counter() - begun
    title = f"{n} simulated outcomes, fit_many, second call: {taken:.1f} s, {many.converged.mean():.0%} certified"
    table = Table(title, "mean estimates", *_TRUE, "sd(comm)", "sd(family)")
    spread = [f"{np.sqrt(many.cov_re.iloc[:, k]).mean():.3f}" for k in (0, 3)]  # the diagonal of D
    table.row("truth", *(f"{value:.2f}" for value in _TRUE.values()), "1.00", "1.00")
    table.row("glmmjax", *(f"{many.fe_params[name].mean():.3f}" for name in _TRUE), *spread)
    covered = [(abs(many.fe_params[name] - value) < 1.96 * many.bse_fe[name]).mean() for name, value in _TRUE.items()]
    table.row("in the 95 % interval", *(f"{share:.0%}" for share in covered))
    few = _in_r(data, "chldcov + famcov + commcov", "community/family", f"d[paste0('y', sprintf('%03d', 1:{_FEW}))]")
    if few:
        taken, _, b0, *sd = np.mean(few, axis=0)
        table.row(f"lme4, {_FEW} of them, {taken:.1f} s each", f"{b0:.3f}", "", "", "", *(f"{s:.3f}" for s in sd))


def _timed(data: pd.DataFrame, n_agq: int | None) -> tuple[tuple[float, float], MixedModelResults]:
    """Seconds of a first call and of the best of three later ones."""
    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        fit = gj.mixed_model(f"immun ~ {_FIXED}", "~ 1 | comm/mom", data=data, family="binomial", n_agq=n_agq)
        taken.append(time.perf_counter() - begun)
    return (taken[0], min(taken[1:])), fit


def _deviations(fit: MixedModelResults) -> list[str]:
    return [f"{np.sqrt(table.iloc[0, 0]):.3f}" for table in fit.cov_re.values()]


def _in_r(data: pd.DataFrame, fixed: str, levels: str, outcomes: str) -> list[list[float]]:
    """For each outcome seconds, log-likelihood, intercept, and standard deviations of the upper and the lower level, by lme4."""
    if version("lme4") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder, "data.csv")
        data.to_csv(csv, index=False)
        code = _CALL.format(csv=csv, fixed=fixed, levels=levels, outcomes=outcomes)
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
