"""What the tests of simulation, residuals and scores share: small data, models at stated parameters, bounds on Monte Carlo errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj
from tests.postfit.stated import stated_fit

__all__ = ["SIGMAS", "assert_mean", "assert_share", "at_parameters", "clustered_rows", "normal_rule"]

SIGMAS = 5.0  # seeds are fixed; one in two million right results lies outside


def clustered_rows(m: int = 60, k: int = 5, seed: int = 1) -> pd.DataFrame:
    """m clusters of k rows with a covariate and a binary outcome that depends on nothing."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"id": np.repeat(np.arange(m), k), "x": rng.normal(size=m * k), "y": rng.integers(0, 2, m * k)})


def at_parameters(arguments: dict[str, Any], beta: Any, chol: Any = ((),), **others: Any) -> gj.MixedModelResults:
    """The model of ``mixed_model(**arguments)`` at parameters."""
    q = len(np.ravel(chol)) and len(chol)
    given = {"phi": (), "gamma": (), "delta": (), **others, "beta": beta}
    arrays: dict[str, Any] = {name: np.asarray(value, float) for name, value in given.items()}
    return stated_fit(gj.Params(chol=np.asarray(chol, float).reshape(q, q), **arrays), **arguments)  # type: ignore[arg-type]


def normal_rule(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Hermite nodes and weights of the standard normal distribution."""
    z, weight = np.polynomial.hermite_e.hermegauss(n)
    return z, weight / weight.sum()


def assert_mean(draws: np.ndarray, expected: Any) -> None:
    """The mean over the last axis is ``expected``, up to its own standard error."""
    error = draws.std(-1, ddof=1) / np.sqrt(draws.shape[-1])
    np.testing.assert_array_less(np.abs(draws.mean(-1) - expected), SIGMAS * error + 1e-12)


def assert_share(draws: Any, p: np.ndarray) -> None:
    """The share of ones in each row is p, with room for the skewness of a small number of ones."""
    n = draws.shape[1]
    np.testing.assert_array_less(np.abs(np.asarray(draws).mean(1) - p), SIGMAS * np.sqrt(p * (1 - p) / n) + SIGMAS / n)
