"""Small data sets of fixed shapes, so that one program serves all examples of a family, and the likelihood at parameters by name."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

import glmmjax as gj

FAMILIES = ("binomial", "poisson", "negative_binomial", "gaussian")
SIZES = (1, 2, 2, 3, 3, 4, 4, 5)  # rows of the clusters
N_TRIALS = 4
N_AGQ = 9

# the same examples in every run
several = settings(max_examples=8, derandomize=True, deadline=None, database=None)
few = settings(max_examples=3, derandomize=True, deadline=None, database=None)
seeds = st.integers(0, 2**32 - 1)
orders_of_rows = st.permutations(range(sum(SIZES)))
orders_of_clusters = st.permutations(range(len(SIZES)))


class At(NamedTuple):
    """Parameters, those of the fixed effects by name.

    Attributes
    ----------
    beta : coefficients by the name of their column
    chol : (q, q)
    phi : extra parameters of the family
    """

    beta: dict[str, float]
    chol: np.ndarray
    phi: np.ndarray


def table(seed: int, family: str, first: int = 0) -> pd.DataFrame:
    """Outcomes y (with f, the failures of a binomial one) of clusters with the numbers ``first, first + 1, ...``."""
    r = np.random.default_rng(seed)
    n = sum(SIZES)
    d = pd.DataFrame({"id": first + np.repeat(np.arange(len(SIZES)), SIZES), "x": r.normal(size=n), "z": r.uniform(-1, 1, n)})
    d["g"] = np.concatenate([["a", "b", "c"], r.choice(["a", "b", "c"], n - 3)])
    eta = 0.2 + 0.5 * d["x"] + 0.7 * r.normal(size=first + len(SIZES))[d["id"]]
    if family == "binomial":
        d["y"] = r.binomial(N_TRIALS, 1 / (1 + np.exp(-eta)))
        d["f"] = N_TRIALS - d["y"]
    else:
        d["y"] = eta + r.normal(size=n) if family == "gaussian" else r.poisson(np.exp(eta))
    return d


def point(seed: int, family: str, q: int = 1) -> At:
    """Parameters of ``~ x + z + g``, and of an intercept (and a slope of x) with random effects."""
    r = np.random.default_rng([seed, 1])
    names = ("Intercept", "x", "z", "g[T.b]", "g[T.c]")
    chol = np.tril(r.normal(size=(q, q)) * 0.3) + np.diag(r.uniform(0.3, 1.5, q))
    n_phi = int(family in ("negative_binomial", "gaussian"))
    return At(dict(zip(names, r.normal(size=5) * 0.6, strict=True)), chol, r.normal(size=n_phi) * 0.5)


def outcome(family: str) -> str:
    """The left-hand side of a formula."""
    return "cbind(y, f)" if family == "binomial" else "y"


def value(data: Any, family: str, at: At, terms: str = "x + z + g", random: str = "~ 1 | id", **arguments: Any) -> float:
    """The log-likelihood."""
    with jax.enable_x64(True):
        design, params = _model(data, family, at, terms, random, arguments)
        return float(gj.log_likelihood(params, design.clusters, design.family, n_agq=N_AGQ))


def by_cluster(data: Any, family: str, at: At, terms: str = "x + z + g", random: str = "~ 1 | id", **arguments: Any) -> pd.Series:
    """The log-likelihood of every cluster under its label."""
    with jax.enable_x64(True):
        design, params = _model(data, family, at, terms, random, arguments)
        values = np.asarray(gj.cluster_log_likelihoods(params, design.clusters, design.family, n_agq=N_AGQ))
    return pd.Series(values, index=list(design.groups))


def _model(data: Any, family: str, at: At, terms: str, random: str, arguments: dict[str, Any]) -> tuple[Any, gj.Params]:
    design = gj.make_design(f"{outcome(family)} ~ {terms}", random, data=data, family=family, **arguments)
    beta = jnp.asarray([at.beta[name] for name in design.fixed_names])
    return design, gj.Params(beta, jnp.asarray(at.chol), jnp.asarray(at.phi))
