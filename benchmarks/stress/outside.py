"""What can be known of a data set without the package: its maximum without random effects, separation, clusters without mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize

from benchmarks.stress.cases import Case, Natural
from benchmarks.stress.densities import DENSITIES, N_TRIALS

__all__ = ["is_pure", "is_separable", "without_effects"]

Array = Any
_COUNTS = ("poisson", "negative_binomial", "conway_maxwell_poisson", "tweedie", "zero_inflated_poisson")


def without_effects(c: Case) -> tuple[float, Natural] | None:
    """(log-likelihood, parameters) of the model without random effects, by scipy; None for families without a density in NumPy."""
    if c.family not in DENSITIES:
        return None
    y, X = c.data["y"].to_numpy(float)[:, None] / c.unit, c.X[:, 1:] if c.kind.is_ordinal else c.X
    sizes = np.cumsum([X.shape[1], len(c.truth.phi)])

    def negative(v: Array) -> float:
        beta, phi, gamma = np.split(v, sizes)
        with np.errstate(all="ignore"):
            value = -DENSITIES[c.family](y, (X @ beta)[:, None], phi, gamma if len(gamma) else np.zeros(1)).sum()
        return value if np.isfinite(value) else 1e300

    start = np.concatenate([c.truth.beta, c.truth.phi, c.truth.gamma])
    flat = np.concatenate([np.zeros_like(c.truth.beta), c.truth.phi, c.truth.gamma])
    found = min((optimize.minimize(negative, s, method="BFGS", options={"gtol": 1e-6, "maxiter": 300}) for s in (start, flat)), key=_value)
    beta, phi, gamma = np.split(found.x, sizes)
    log_jacobian = -len(y) * np.log(c.unit)  # the density of y itself
    return float(log_jacobian - found.fun), Natural(beta, 1e-3 * np.eye(c.q), phi, gamma)


def _value(found: Any) -> float:
    return float(found.fun)


def is_separable(c: Case) -> bool | None:
    """Whether a direction of the fixed effects raises the likelihood for ever (linear programming); None for families not covered.

    Along it no row loses, whatever its random effects and the other parameters are, and some gain for ever: there is no finite maximum. The
    density rises for ever as the mean falls for a count of 0, extra zeros or not, ``pi + (1 - pi) exp(-mu)``, and for a positive count of 1
    of a hurdle model, whose zeros tell nothing of that mean: ``p(1) / (1 - p(0))`` falls in mu, because the likelihood ratio of two means
    is monotone in the count.
    """
    y = c.data["y"].to_numpy(float)
    is_told = np.ones(len(y), bool)
    if c.gj_family == "binomial":
        sign = np.where(y == _top(c), 1.0, np.where(y == 0, -1.0, 0.0))
    elif c.family in _COUNTS:
        sign = np.where(y == 0, -1.0, 0.0)
    elif c.family == "hurdle_negative_binomial":
        is_told, sign = y > 0, np.where(y == 1, -1.0, 0.0)
        if not is_told.any():
            return True
    else:
        return None
    is_pushed, is_held = is_told & (sign != 0), is_told & (sign == 0)
    if not is_pushed.any():
        return False
    A, held = -sign[is_pushed, None] * c.X[is_pushed], c.X[is_held]
    equal: dict[str, Any] = {"A_eq": held, "b_eq": np.zeros(len(held))} if len(held) else {}
    found = optimize.linprog(A.sum(0), A_ub=A, b_ub=np.zeros(len(A)), bounds=[(-1, 1)] * c.X.shape[1], method="highs", **equal)
    return bool(found.status == 0 and found.fun < -1e-6)


def is_pure(c: Case) -> bool:
    """Whether no cluster has outcomes of both kinds, when the variance of its intercept may have no bound."""
    if c.gj_family != "binomial":
        return False
    y, groups = c.data["y"], c.data["id"]
    only = [(y == value).groupby(groups).all() for value in (_top(c), 0)]
    return bool((only[0] | only[1]).all())


def _top(c: Case) -> int:
    return N_TRIALS if c.family == "trials" else 1
