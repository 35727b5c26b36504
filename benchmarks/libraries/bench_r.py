"""lme4, glmmTMB and GLMMadaptive in R: one temporary script a fit, timed inside R.

lme4 has quadrature for one random effect only, glmmTMB has Laplace's approximation only. With more than one point lme4's log-likelihood
leaves constants out (visible in the Poisson example).
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.libraries.base import Library, Result
from benchmarks.problems import PROBLEMS, Problem
from benchmarks.timing import LONG, RUNS

__all__ = ["LIBRARIES"]

# the call in R
_CALLS = {
    "lme4": "lme4::glmer({one_formula}, d, {family}, nAGQ = {n_agq})",
    "glmmTMB": "glmmTMB::glmmTMB({one_formula}, d, {family})",
    "GLMMadaptive": "GLMMadaptive::mixed_model({fixed}, {random}, d, {family}(), nAGQ = {n_agq})",
}
_FIXED = {"lme4": "lme4::fixef(fit)", "glmmTMB": "glmmTMB::fixef(fit)$cond", "GLMMadaptive": "GLMMadaptive::fixef(fit)"}
_SD = {
    "lme4": 'attr(lme4::VarCorr(fit)$id, "stddev")',
    "glmmTMB": 'attr(glmmTMB::VarCorr(fit)$cond$id, "stddev")',
    "GLMMadaptive": "sqrt(diag(fit$D))",
}
_SCRIPT = """
options(warn = -1)
d <- read.csv("{csv}")
{levels}
run <- function() {call}
first <- system.time(fit <- run())[["elapsed"]]
seconds <- if (first > {long}) first else replicate({runs}, system.time(run())[["elapsed"]])
show <- function(kind, name, value) cat(sprintf("%s\\t%s\\t%.17g\\n", kind, name, value), sep = "")
show("seconds", "", median(seconds)); show("runs", "", length(seconds)); show("loglik", "", as.numeric(logLik(fit)))
beta <- {fixed_effects}; sd <- {sd}
show("estimate", names(beta), beta); show("estimate", paste("sd", c("1", {slopes})), sd)
"""
_COLD_SCRIPT = 'd <- read.csv("{csv}"); {levels}; print(logLik({call}), digits = 12)'


@functools.cache
def version(package: str) -> str | None:
    """Version of an installed R package, None if R or the package is not there."""
    if shutil.which("Rscript") is None:
        return None
    code = f'if (requireNamespace("{package}", quietly = TRUE)) cat(as.character(packageVersion("{package}")))'
    return subprocess.run(["Rscript", "-e", code], capture_output=True, text=True).stdout.strip() or None


def fit(package: str, problem: Problem) -> Result:
    """Run the script of ``package`` for ``problem`` and read what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "fit.R")
        csv = Path(folder, "data.csv")
        problem.data.to_csv(csv, index=False)
        script.write_text(_fill(_SCRIPT, package, problem, csv))
        done = subprocess.run(["Rscript", str(script)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{package} failed: {done.stderr.strip().splitlines()[-1]}")
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
    scalars = {kind: float(value) for kind, _, value in lines if kind != "estimate"}
    estimates = {name: float(value) for kind, name, value in lines if kind == "estimate"}
    return Result(scalars["seconds"], scalars["loglik"], estimates, int(scalars["runs"]), _note(package, problem))


def cold_command(package: str) -> list[str]:
    """The introductory binomial example in a new R process, reading the shipped CSV."""
    csv = Path("glmmjax/datasets/intro_binomial.csv")
    return ["Rscript", "-e", _fill(_COLD_SCRIPT, package, PROBLEMS[0], csv)]


def _n_agq(package: str, problem: Problem) -> int:
    return 1 if package == "glmmTMB" or (package == "lme4" and problem.slopes) else problem.n_agq


def _note(package: str, problem: Problem) -> str:
    if _n_agq(package, problem) == 1:
        return "Laplace"
    return "logLik without constants" if package == "lme4" and problem.family == "poisson" else ""


def _fill(script: str, package: str, problem: Problem, csv: Path) -> str:
    words = {"one_formula": problem.one_formula, "fixed": problem.fixed, "random": problem.random, "family": problem.family}
    return script.format(
        csv=csv.as_posix(),
        levels="; ".join(_factor(problem.data[column]) for column in problem.data.select_dtypes("category")),
        call=_CALLS[package].format(n_agq=_n_agq(package, problem), **words),
        long=LONG,
        runs=RUNS,
        fixed_effects=_FIXED[package],
        sd=_SD[package],
        slopes=", ".join(f'"{name}"' for name in problem.slopes) or "NULL",
    )


def _factor(column: pd.Series) -> str:
    levels = ", ".join(f'"{level}"' for level in column.cat.categories)
    return f"d${column.name} <- factor(d${column.name}, levels = c({levels}))"


def _library(package: str) -> Library:
    return Library(
        functools.partial(version, package), functools.partial(fit, package), functools.partial(cold_command, package), max_rows=100_000
    )


LIBRARIES = {package: _library(package) for package in _CALLS}
