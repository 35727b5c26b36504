"""The log-likelihood and its gradient by a rule of its own: trapezoids under a sinh transform, in NumPy, for up to three effects.

The rule converges exponentially in its step h, so that its error is about the square of the difference from the rule with step 2h,
which has every second of its nodes and costs nothing; what lies beyond its reach is no more than what its outermost nodes hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from benchmarks.stress.cases import Case, Natural
from benchmarks.stress.densities import DENSITIES, Density

__all__ = ["Integral", "integral"]

Array = Any
_GRIDS = {1: ((0.06, 6.0), (0.02, 7.2)), 2: ((0.18, 4.5), (0.11, 5.5)), 3: ((0.25, 3.0), (0.2, 3.6))}  # (step, reach), then finer
_LARGEST_ERROR = 2e-5  # of the log-likelihood
_CHUNK = 2_000_000  # rows x nodes at a time
_STEP = 1e-5  # of central differences in a predictor or an extra parameter
_LEAST_CURVATURE = 0.3  # of the log joint density in u, whose prior has 1


class Integral(NamedTuple):
    """A log-likelihood with its gradient.

    Attributes
    ----------
    value
    error : estimate of its error, by the rule with twice the step and by what the outermost nodes hold
    gradient : in beta, chol (q, q), phi, gamma; None where it was not asked for
    """

    value: float
    error: float
    gradient: Natural | None


class _Joint(NamedTuple):
    """The log joint density of outcomes and spherical effects u, of one data set at one set of parameters."""

    density: Density
    parameters: Natural
    y: Array  # (n, 1)
    X: Array  # (n, p)
    Z: Array  # (n, q)
    ids: Array  # (n,)
    starts: Array  # (m,)
    in_zero_part: bool  # the last effect belongs to the zero part
    unit: float  # of the predictor

    def predictors(self, u: Array) -> tuple[Array, Array]:
        """(n, K) predictors at u (m, q, K)."""
        at, chol = self.parameters, self.parameters.chol
        effects = np.einsum("ab,nbk->nak", chol, u[self.ids])
        n_inside = effects.shape[1] - self.in_zero_part
        eta = (self.X @ at.beta)[:, None] + np.einsum("na,nak->nk", self.Z[:, :n_inside], effects[:, :n_inside])
        zero = at.gamma[0] if len(at.gamma) else 0.0
        return eta, zero + (effects[:, -1] if self.in_zero_part else 0.0)

    def __call__(self, u: Array) -> Array:
        """(m, K) at u (m, q, K)."""
        rows = self.density(self.y, *self._split(u))
        prior = 0.5 * (u**2).sum(1) + 0.5 * u.shape[1] * np.log(2 * np.pi)
        return np.add.reduceat(rows, self.starts, axis=0) - prior

    def _split(self, u: Array) -> tuple[Array, Array, Array]:
        eta, zero = self.predictors(u)
        return eta, self.parameters.phi, zero


def integral(c: Case, parameters: Natural, modes: Array, with_gradient: bool = False) -> Integral | None:
    """At ``parameters`` on the fitted scale, around ``modes`` (m, q) in u; None where no independent value is to be had."""
    if c.family not in DENSITIES or c.q not in _GRIDS or not np.isfinite(modes).all():
        return None
    joint = _joint(c, Natural(*(np.asarray(part, float) for part in parameters)))
    with np.errstate(all="ignore"):
        root = _root(joint, modes)
        for step, reach in _GRIDS[c.q]:
            found = _by_grid(joint, modes, root, step, reach, with_gradient)
            if np.isfinite(found.value) and found.error < _LARGEST_ERROR:
                return found
    return None


def _joint(c: Case, parameters: Natural) -> _Joint:
    ids, x, w = (c.data[name].to_numpy() for name in ("id", "x", "w"))
    X = np.column_stack([np.ones(len(x)), x, w])
    starts = np.flatnonzero(np.r_[True, np.diff(ids) > 0])
    n_inside = 1 if c.structure == "q1z" else c.q
    y = c.data["y"].to_numpy(float)[:, None]
    fixed, unit = X[:, 1:] if c.kind.is_ordinal else X, c.unit if c.kind.unit == "identity" else 1.0
    return _Joint(DENSITIES[c.family], parameters, y, fixed, X[:, :n_inside], ids, starts, c.structure == "q1z", unit)


def _root(joint: _Joint, modes: Array) -> Array:
    """(m, q, q) a root of the inverse curvature at the modes, from second differences on a scale that fits."""
    m, q = modes.shape
    pairs = [(a, b) for a in range(q) for b in range(a + 1)]
    points = np.concatenate([[np.zeros(q)], *([s * (np.eye(q)[a] + (np.eye(q)[b] if a != b else 0.0)) for s in (1, -1)] for a, b in pairs)])
    scale = np.ones(m)
    for _ in range(5):
        d = 1e-3 * scale
        v = joint(modes[:, :, None] + d[:, None, None] * points.T)
        second = {pair: (2 * v[:, 0] - v[:, 1 + 2 * k] - v[:, 2 + 2 * k]) / d**2 for k, pair in enumerate(pairs)}
        largest = np.max([second[a, a] for a in range(q)], axis=0)
        scale = np.clip(1 / np.sqrt(np.maximum(largest, 1e-4)), 1e-6, 3.0)
    curvature = np.zeros((m, q, q))
    for a, b in pairs:
        value = second[a, a] if a == b else 0.5 * (second[a, b] - second[a, a] - second[b, b])
        curvature[:, a, b] = curvature[:, b, a] = value
    curvature[~np.isfinite(curvature).all(axis=(1, 2))] = np.eye(q)
    values, vectors = np.linalg.eigh(curvature)
    return vectors / np.sqrt(np.clip(values, _LEAST_CURVATURE, 1e12))[:, None, :]


def _by_grid(joint: _Joint, modes: Array, root: Array, step: float, reach: float, with_gradient: bool) -> Integral:
    q, half = modes.shape[1], round(reach / step / 2) * 2
    t = step * np.arange(-half, half + 1)
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(*[np.sinh(t)] * q, indexing="ij")])
    log_weight = np.sum(np.meshgrid(*[np.log(step * np.cosh(t))] * q, indexing="ij"), axis=0).ravel()
    place = np.stack([axis.ravel() for axis in np.meshgrid(*[np.arange(len(t))] * q, indexing="ij")])
    is_coarse, is_edge = (place % 2 == 0).all(0), ((place == 0) | (place == 2 * half)).any(0)
    parts = np.array_split(np.arange(len(log_weight)), max(1, len(log_weight) * len(joint.y) // _CHUNK))
    u = lambda part: modes[:, :, None] + np.einsum("mab,bk->mak", root, nodes[:, part])  # noqa: E731
    values = np.concatenate([joint(u(part)) + log_weight[part] for part in parts], axis=1)
    values = np.where(np.isnan(values), -np.inf, values)
    total, coarse = logsumexp(values, axis=1), logsumexp(values[:, is_coarse], axis=1) + q * np.log(2.0)
    value = (total + np.log(np.abs(np.linalg.det(root)))).sum()
    gradient = None
    if with_gradient:
        found = [_gradient(joint, u(part), np.exp(values[:, part] - total[:, None])) for part in parts]
        gradient = Natural(*(sum(terms) for terms in zip(*found, strict=True)))
    beyond = np.exp(logsumexp(values[:, is_edge], axis=1) - total)
    return Integral(float(value), float(((total - coarse) ** 2 + beyond).sum()), gradient)


def _gradient(joint: _Joint, u: Array, weight: Array) -> Natural:
    """Expectation of the gradient of the log joint density under the posterior of u, here ``weight`` (m, K): Fisher's identity."""
    at, (eta, zero), w = joint.parameters, joint.predictors(u), weight[joint.ids]

    def mean(change: Any, step: float = _STEP) -> Array:
        up, down = (joint.density(joint.y, *change(sign * step)) for sign in (1, -1))
        slope = w * (up - down) / (2 * step)
        return np.where(np.isfinite(slope), slope, 0.0)

    on_eta = mean(lambda h: (eta + h, at.phi, zero), _STEP * joint.unit)
    by_u = np.einsum("nk,nbk->nb", on_eta, u[joint.ids])
    n_inside = at.chol.shape[0] - joint.in_zero_part
    chol = np.zeros_like(at.chol)
    chol[:n_inside] = joint.Z[:, :n_inside].T @ by_u
    gamma = np.zeros(len(at.gamma))
    if len(gamma):
        on_zero = mean(lambda h: (eta, at.phi, zero + h))
        gamma[0] = on_zero.sum()
        if joint.in_zero_part:
            chol[-1] = np.einsum("nk,nbk->b", on_zero, u[joint.ids])
    phi = np.array([mean(lambda h, k=k: (eta, at.phi + h * np.eye(len(at.phi))[k], zero)).sum() for k in range(len(at.phi))])
    return Natural(joint.X.T @ on_eta.sum(1), chol, phi, gamma)
