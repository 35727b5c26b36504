"""The problems: data and a model, said once for every library."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from glmmjax import datasets

__all__ = ["BETA", "PROBLEMS", "Problem", "simulate_clusters", "simulate_random_intercept", "simulate_two_effects"]

BETA = (-1.0, 0.5, 0.3)  # of every simulated data set


@dataclasses.dataclass(frozen=True)
class Problem:
    """A model on a data set. The outcome is ``y``, the clusters are ``id``."""

    name: str
    make_data: Callable[[], pd.DataFrame]
    fixed: str
    random: str
    family: str
    n_agq: int = 11

    @functools.cached_property
    def data(self) -> pd.DataFrame:
        """The data, made once."""
        return self.make_data()

    @property
    def slopes(self) -> tuple[str, ...]:
        """Columns with a random slope."""
        terms = self.random.strip("~ ").split("|")[0].split("+")
        return tuple(term.strip() for term in terms if term.strip() != "1")

    @property
    def one_formula(self) -> str:
        """lme4's spelling."""
        return f"{self.fixed} + ({self.random.strip('~ ')})"


def simulate_random_intercept(rows: int, cluster_size: int = 10, seed: int = 7) -> pd.DataFrame:
    """``simulate_clusters`` of one size."""
    return simulate_clusters(np.full(rows // cluster_size, cluster_size), seed)


def simulate_clusters(sizes: np.ndarray, seed: int = 7) -> pd.DataFrame:
    """Binary outcome in clusters of these sizes, one continuous and one 0/1 covariate, random intercept with sd 1."""
    rng, rows = np.random.default_rng(seed), int(sizes.sum())
    x1, x2 = rng.normal(size=rows), rng.integers(0, 2, rows).astype(float)
    b = rng.normal(size=len(sizes))
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    y = _bernoulli(rng, BETA[0] + BETA[1] * x1 + BETA[2] * x2 + b[cluster])
    return pd.DataFrame({"id": cluster, "x1": x1, "x2": x2, "y": y})


def simulate_two_effects(clusters: int = 2000, cluster_size: int = 8, seed: int = 8) -> pd.DataFrame:
    """Binary outcome, correlated random intercept and slope: sd 1 and 0.6, correlation 0.3."""
    rng = np.random.default_rng(seed)
    time = np.tile(np.linspace(-1.0, 1.0, cluster_size), clusters)
    x = rng.normal(size=clusters * cluster_size)
    b = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.18], [0.18, 0.36]], size=clusters)
    cluster = np.repeat(np.arange(clusters), cluster_size)
    eta = BETA[0] + BETA[1] * time + BETA[2] * x + b[cluster, 0] + b[cluster, 1] * time
    return pd.DataFrame({"id": cluster, "time": time, "x": x, "y": _bernoulli(rng, eta)})


def _bernoulli(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return (rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(int)


def _simulated(rows: int) -> Problem:
    return Problem(f"simulated {rows:,} rows", functools.partial(simulate_random_intercept, rows), "y ~ x1 + x2", "~ 1 | id", "binomial")


_INTRO = "y ~ sex * time"
PROBLEMS = (
    Problem("intro binomial ~ 1 | id", datasets.load_intro_binomial, _INTRO, "~ 1 | id", "binomial"),
    Problem("intro binomial ~ time | id", datasets.load_intro_binomial, _INTRO, "~ time | id", "binomial"),
    Problem("intro Poisson ~ 1 | id", datasets.load_intro_poisson, _INTRO, "~ 1 | id", "poisson"),
    Problem("2,000 x 8, ~ time | id", simulate_two_effects, "y ~ time + x", "~ time | id", "binomial"),
    *(_simulated(rows) for rows in (10_000, 100_000, 1_000_000)),
)
