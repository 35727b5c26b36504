"""Dispersed starting values, from which the best known maximum comes."""

from __future__ import annotations

from typing import Any

import numpy as np

import glmmjax as gj
from benchmarks.stress.cases import Case, Natural

__all__ = ["starts"]

Array = Any


def starts(c: Case, end: gj.MixedModelResults | None, glm: Natural | None) -> dict[str, dict[str, Array]]:
    """``initial_values`` by name: the truth, small, large and random variances, the model without effects, the default's end disturbed."""
    r, t = np.random.default_rng([c.seed, c.index, 7]), c.truth
    q, p = c.q, len(t.beta)
    mask = np.eye(q) if c.structure == "q2d" else np.tril(np.ones((q, q)))

    def like(beta: Array, chol: Array, jitter: float = 0.0) -> Natural:
        phi = t.phi + jitter * r.normal(size=len(t.phi))
        return Natural(beta, chol * mask, phi, t.gamma + jitter * r.normal(size=len(t.gamma)))

    corr = np.eye(q)
    if q > 1:
        corr[0, 1] = corr[1, 0] = r.choice([-0.9, 0.9])
    flat = np.zeros(p) if c.kind.is_ordinal else np.where(np.arange(p) == 0, t.beta, 0.0)
    found = {
        "truth": like(t.beta, np.where(t.chol == 0, 1e-3 * np.eye(q), t.chol)),
        "small": like(t.beta + 0.3 * r.normal(size=p), 0.05 * np.eye(q), 0.3),
        "large": like(flat, 3.0 * np.eye(q), 0.3),
        "random": like(t.beta + r.normal(size=p), np.exp(r.normal(size=q))[:, None] * np.linalg.cholesky(corr), 0.5),
    }
    if glm is not None and all(np.isfinite(part).all() for part in glm):
        found["glm"] = glm._replace(beta=np.clip(glm.beta, -20, 20), phi=np.clip(glm.phi, -8, 8))
    given = {name: c.given(natural) for name, natural in found.items()}
    return given if end is None else {"end": _disturbed(c, end, given["truth"]["chol"], mask, r), **given}


def _disturbed(c: Case, end: gj.MixedModelResults, chol: Array, mask: Array, r: np.random.Generator) -> dict[str, Array]:
    """Half a standard error, and 40 % of every entry of the factor, away from the estimates; a little variance where there was none."""
    params, errors = end.params, np.asarray(end.bse_fe)
    q = c.q
    unit = np.array([1.0, abs(c.scale), 1.0])[:q] if c.has_slope else np.ones(q)
    lift = 0.1 * np.abs(chol).max() * np.eye(q) / unit
    beta = np.asarray(params.beta) + 0.5 * np.where(np.isfinite(errors), np.minimum(errors, 1e3), 0.0) * r.normal(size=len(errors))
    moved = np.asarray(params.chol) * (1 + 0.4 * r.normal(size=(q, q))) + lift
    values = {"beta": beta, "chol": moved * mask, "phi": np.asarray(params.phi) + 0.1, "gamma": np.asarray(params.gamma)}
    return {name: value for name, value in values.items() if value.size or name in ("beta", "chol")}
