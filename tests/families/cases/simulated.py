"""Data simulated from a row of the table of families: two coefficients, a random intercept, and a constant zero part."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import glmmjax as gj
from tests.families.cases import continuous, counts, ordinal, plain, zero_part
from tests.families.cases.row import Row

__all__ = ["BY_CLASS", "identified", "parameters", "simulated"]


def identified(row: Row) -> bool:
    """Whether data tell the row's parameters apart: of one trial, a zero part and a success probability are seen as one product."""
    return not (row.family.has_zero_part and row.atoms == (0.0, 1.0))


# the first row of each class that can be estimated
BY_CLASS: dict[str, Row] = {
    row.family.name: row
    for row in reversed([*plain.ROWS, *continuous.ROWS, *counts.ROWS, *zero_part.ROWS, *ordinal.ROWS])
    if identified(row)
}


def simulated(row: Row, n_clusters: int, cluster_size: int, seed: int) -> gj.Design:
    """``y ~ x`` with x ~ N(0, 1) and ``~ 1 | id``, at the row's parameters."""
    rng, n = np.random.default_rng(seed), n_clusters * cluster_size
    cluster = np.repeat(np.arange(n_clusters), cluster_size)
    x, b = rng.normal(size=n), row.deviation * rng.normal(size=n_clusters)
    eta = jnp.asarray(row.beta[0] + row.beta[1] * x + b[cluster])
    zero = (jnp.full(n, row.eta_zi),) if row.family.has_zero_part else ()
    seen = jax.tree.map(jnp.asarray, row.columns(np.full(n, row.y[0])))
    drawn = row.family.sample(jax.random.key(seed), seen, eta, jnp.asarray(row.phi), *zero)
    columns = {f"y{k}": np.asarray(column) for k, column in enumerate(drawn if isinstance(drawn, tuple) else (drawn,))}
    outcome = f"cbind({', '.join(columns)})" if len(columns) > 1 else "y0"
    return gj.make_design(f"{outcome} ~ x", "~ 1 | id", data=columns | {"x": x, "id": cluster}, family=row.family)


def parameters(row: Row) -> gj.Params:
    """The parameters behind ``simulated``; an ordinal outcome has thresholds for an intercept."""
    beta = row.beta[1:] if row.family.is_ordinal else row.beta
    gamma = (row.eta_zi,) if row.family.has_zero_part else ()
    return gj.Params(*(jnp.asarray(part, float) for part in (beta, [[row.deviation]], row.phi, gamma)))
