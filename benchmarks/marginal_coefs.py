"""Marginal coefficients of the introductory fit: quadrature and the delta method here, random draws of b and of theta in R.

The R code is written from the description of GLMMadaptive's ``marginal_coefs``: for each cluster ``M`` draws of its random effects, the
row means of the inverse link, their link regressed on X; standard errors from the same at ``K`` draws of the parameters.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import glmmjax as gj
from benchmarks.table import Table, seconds, times
from benchmarks.timing import median_of
from glmmjax import datasets
from glmmjax.postfit.population.marginal_coefs import _with_jacobian
from glmmjax.postfit.prediction.rows import own_rows
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = ["print_marginal_coefs"]

_M, _K = 3000, 100
_TARGET = 50.0
_SCRIPT = """
X <- as.matrix(read.csv("X.csv")); id <- scan("id.csv", quiet = TRUE); theta <- scan("theta.csv", quiet = TRUE)
root <- chol(as.matrix(read.csv("V.csv"))); p <- ncol(X); rows <- split(seq_along(id), id)
project <- solve(crossprod(X), t(X))
coefs <- function(theta) {{
  fixed <- drop(X %*% theta[1:p]); sd <- exp(theta[p + 1]); m <- numeric(nrow(X))
  for (r in rows) m[r] <- rowMeans(plogis(outer(fixed[r], rnorm({M}, sd = sd), "+")))
  drop(project %*% qlogis(m))
}}
set.seed(1)
alone <- system.time(estimate <- coefs(theta))[["elapsed"]]
all <- system.time(draws <- replicate({K}, coefs(theta + drop(rnorm(p + 1) %*% root))))[["elapsed"]]
cat(sprintf("%.17g", c(alone, alone + all, estimate, apply(draws, 1, sd))), sep = "\\n")
"""


class _Drawn(NamedTuple):
    """What R prints."""

    alone: float  # seconds of the coefficients
    seconds: float  # and of their standard errors
    estimate: np.ndarray  # (p,)
    errors: np.ndarray  # (p,)


def print_marginal_coefs(rows: int = 100_000) -> None:
    """Seconds and errors of both, then how the time grows with the rows."""
    data = datasets.load_intro_binomial()
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    begin = time.perf_counter()
    found = fit.marginal_coefs()
    first = time.perf_counter() - begin
    warm, exact = median_of(fit.marginal_coefs), _exact(fit)
    table = Table("marginal coefficients with standard errors, 800 rows in 100 clusters", "", "first", "warm", "error", label_width=30)
    error = np.abs(found.params - exact).max()
    table.row("glmmjax", seconds(first), seconds(warm), f"{error:.1e}")
    drawn = _in_r(fit, data["id"].to_numpy())
    if drawn is None:
        print("  R is not installed: nothing to compare with", flush=True)
    else:
        theirs = np.abs(drawn.estimate - exact).max()
        table.row(f"R, M = {_M}, K = {_K}", "", seconds(drawn.seconds), f"{theirs:.1e}")
        table.row("R, without standard errors", "", seconds(drawn.alone), f"{theirs:.1e}")
        off = np.abs(drawn.errors / found.bse.to_numpy() - 1.0).max()
        ratios = f"warm {times(drawn.seconds / warm)}, first call {times(drawn.seconds / first)} (target {_TARGET:g}x)"
        print(f"  R / glmmjax: {ratios}; R's standard errors are off by up to {off:.0%}", flush=True)
    _print_scaling(fit, rows)


def _exact(fit: gj.MixedModelResults) -> np.ndarray:
    """(p,) by a Gauss-Hermite rule of 180 points, in numpy."""
    x, y, sd = _columns(fit), fit.fe_params.to_numpy(), float(fit.params.chol[0, 0])
    z, w = np.polynomial.hermite_e.hermegauss(180)
    mean = (1.0 / (1.0 + np.exp(-(x @ y)[:, None] - sd * z))) @ (w / w.sum())
    return np.linalg.lstsq(x, np.log(mean / (1.0 - mean)), rcond=None)[0]


def _columns(fit: gj.MixedModelResults) -> np.ndarray:
    """X (n, p)"""
    with jax.enable_x64(True):
        return np.asarray(own_rows(fit.fitted_model).X[0]).T


def _in_r(fit: gj.MixedModelResults, clusters: np.ndarray) -> _Drawn | None:
    """The same by random draws, theta being beta and log sd; None without R."""
    if shutil.which("Rscript") is None:
        return None
    fitted, x = fit.fitted_model, _columns(fit)
    sd = float(fitted.params.chol[0, 0])
    scale = np.append(np.ones(x.shape[1]), 1.0 / sd)
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Any] = {"id": clusters, "theta": [*fit.fe_params, np.log(sd)]}
        for name, values in files.items():
            np.savetxt(Path(folder, f"{name}.csv"), values, fmt="%.17g")
        for name, matrix in {"X": x, "V": covariance(fitted) * np.outer(scale, scale)}.items():
            header = ",".join(f"v{k}" for k in range(matrix.shape[1]))
            np.savetxt(Path(folder, f"{name}.csv"), matrix, delimiter=",", header=header, comments="", fmt="%.17g")
        Path(folder, "draws.R").write_text(_SCRIPT.format(M=_M, K=_K))
        done = subprocess.run(["Rscript", "draws.R"], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"R failed: {done.stderr.strip().splitlines()[-1]}")
    alone, together, *values = map(float, done.stdout.split())
    estimate, errors = np.array(values).reshape(2, -1)
    return _Drawn(alone, together, estimate, errors)


def _print_scaling(fit: gj.MixedModelResults, rows: int) -> None:
    """Coefficients and their Jacobian of the same rows again and again."""
    table = Table("coefficients and Jacobian of the same rows repeated", "rows", "first", "warm", label_width=30)
    fitted = fit.fitted_model
    with jax.enable_x64(True):
        own, theta = own_rows(fitted), jnp.asarray(fitted.theta)
        for copies in (1, rows // 8000, rows // 800):
            several = jax.tree.map(lambda leaf, k=copies: jnp.tile(leaf, (1, k)), own)

            def run(several: Any = several) -> Any:
                return jax.block_until_ready(_with_jacobian(fitted.problem, theta, several))

            begin = time.perf_counter()
            run()
            first = time.perf_counter() - begin
            table.row(f"{several.X[0].shape[1]:,}", seconds(first), seconds(median_of(run)))
