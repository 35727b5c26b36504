"""Crossed factors beside lme4, glmmTMB and GPBoost: salamanders, and 73,421 ratings of 1,128 lecturers by 2,972 students.

``insteval.csv.gz`` has the ratings ``y`` (1 to 5) of lecturers ``d`` by students ``s``, as ``InstEval`` in the R package lme4. The outcome
here is whether a rating is 4 or 5.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.libraries.bench_r import version
from benchmarks.table import Table
from glmmjax.errors import ConvergenceWarning

__all__ = ["print_crossed"]

_CALLS = {
    "lme4": "glmer({formula}, d, binomial)",
    "glmmTMB": "glmmTMB({formula}, d, family = binomial)",
}
_SPREAD = {"lme4": "unlist(VarCorr(fit))", "glmmTMB": "unlist(VarCorr(fit)$cond)"}
_SCRIPT = """
suppressMessages(library({package})); d <- read.csv("{csv}", stringsAsFactors = TRUE)
for (name in c("{a}", "{b}")) d[[name]] <- factor(d[[name]])
taken <- system.time(fit <- suppressWarnings({call}))[["elapsed"]]
cat(taken, as.numeric(logLik(fit)), sqrt(as.numeric({spread})), "\\n")
"""


def print_crossed(is_quick: bool) -> None:
    """Both data sets; only the small one with ``is_quick``."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    matings = gj.datasets.load_salamander()
    _print("360 matings of 60 females and 60 males", matings, "mate ~ 0 + cross", ("female", "male"), corrected=True)
    if not is_quick:
        ratings = pd.read_csv(Path(__file__).parent / "insteval.csv.gz")
        ratings = pd.DataFrame({"good": (ratings["y"] >= 4).astype(int), "s": ratings["s"], "d": ratings["d"]})
        _print("73,421 ratings of 1,128 lecturers by 2,972 students", ratings, "good ~ 1", ("s", "d"), corrected=False)


def _print(title: str, data: pd.DataFrame, fixed: str, factors: tuple[str, str], corrected: bool) -> None:
    table = Table(title, "", "first", "warm", "log.Lik", *(f"sd({name})" for name in factors))
    random = " + ".join(f"(1 | {name})" for name in factors)
    calls: dict[str, Callable[[], gj.MixedModelResults]] = {
        "glmmjax, Laplace": lambda: gj.mixed_model(fixed, random, data=data, family="binomial")
    }
    if corrected:
        calls["corrected"] = lambda: gj.mixed_model(fixed, random, data=data, family="binomial", correction="importance")
    for name, call in calls.items():
        taken, fit = _timed(call)
        error = fit.convergence.laplace_error
        spread = [f"{np.sqrt(d.iloc[0, 0]):.4f}" for d in fit.cov_re.values()]
        note = "" if error is None else f", Laplace off by {error.value:.2f} ({error.std_error:.1g}; {error.effective_draws:.0f} draws)"
        table.row(name + note, f"{taken[0]:.2f} s", f"{min(taken[1:]):.2f} s", f"{fit.llf:.4f}", *spread)
    for package, call_in_r in _CALLS.items():
        for taken_in_r, value, *deviations in _in_r(package, call_in_r.format(formula=f"{fixed} + {random}"), data, factors):
            table.row(package, "", f"{taken_in_r:.2f} s", f"{value:.4f}", *(f"{sd:.4f}" for sd in deviations))
    seconds, of_gpboost = _in_gpboost(data, fixed, factors)
    if of_gpboost:
        table.row("GPBoost", "", f"{seconds:.2f} s", *of_gpboost)


def _timed(call: Callable[[], gj.MixedModelResults]) -> tuple[list[float], gj.MixedModelResults]:
    """Seconds of four calls, and the result of the last."""
    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        fit = call()
        taken.append(time.perf_counter() - begun)
    return taken, fit


def _in_r(package: str, call: str, data: pd.DataFrame, factors: tuple[str, str]) -> list[list[float]]:
    """Seconds, log-likelihood and standard deviations by an R package; nothing where it is not installed."""
    if version(package) is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder, "data.csv")
        data.to_csv(csv, index=False)
        script = _SCRIPT.format(package=package, csv=csv, a=factors[0], b=factors[1], call=call, spread=_SPREAD[package])
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]


def _in_gpboost(data: pd.DataFrame, fixed: str, factors: tuple[str, str]) -> tuple[float, list[str]]:
    """Seconds, log-likelihood and standard deviations by GPBoost; nothing where it is not installed."""
    try:
        import gpboost
    except ImportError:
        return 0.0, []
    outcome, terms = fixed.split(" ~ ")
    x = np.ones((len(data), 1)) if terms == "1" else pd.get_dummies(data["cross"]).to_numpy(float)
    begun = time.perf_counter()
    model = gpboost.GPModel(group_data=data[list(factors)].to_numpy(str), likelihood="bernoulli_logit")
    model.fit(y=data[outcome].to_numpy(float), X=x)
    taken = time.perf_counter() - begun
    variances = np.asarray(model.get_cov_pars()).ravel()[: len(factors)]
    return taken, [f"{-float(model.get_current_neg_log_likelihood()):.4f}", *(f"{sd:.4f}" for sd in np.sqrt(variances))]
