"""Adaptive Gauss-Hermite quadrature: tensor-product rules, placed in each cluster by mode and scale of its posterior.

With nodes ``z_k`` and log weights ``log w_k`` of this file, and any invertible ``R``,

    log of the integral of exp(f(u) + c) du  ~  log|det R| + log sum_k exp(f(u_k) + log w_k),  where u_k = u_hat + R z_k:

the factor ``exp(z^2 / 2)`` and the constant c of the prior are part of the weights.
Source: Liu and Pierce (1994), Biometrika 81, 624-629.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.posterior import Posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rows import Integrand
from glmmjax.likelihood.rule import NodePlacement
from glmmjax.values import shown

__all__ = ["GaussHermite", "check_n_agq", "finer", "judges", "padded_rule", "tensor_rule"]

_MOST_NODES = 50_000  # largest size of a rule that only judges another one
_MOST_POINTS = 200  # points per dimension; the weights of much longer rules underflow


class GaussHermite(NamedTuple):
    """Nodes and log weights; only the first ``count`` rows are used.

    Attributes
    ----------
    nodes : (K, q) standard nodes z_k
    log_weights : (K,) with the constant of the prior among them
    count : number of nodes in use: a Python int (loop of fixed length) or a traced scalar
    """

    nodes: Any
    log_weights: Any
    count: Any

    def place(self, f: Integrand, posterior: Posterior) -> NodePlacement:
        """Nodes around the mode, at the scale of the posterior. f is largest at the mode, so the sum needs no running maximum."""
        del f  # mode and scale say it all
        return NodePlacement(posterior.mode, posterior.root, posterior.log_det, posterior.value)


def tensor_rule(n_agq: int, q: int, prior: Prior = STANDARD_NORMAL) -> GaussHermite:
    """The rule with ``n_agq`` points in each of ``q`` dimensions, ``n_agq ** q`` nodes in all; 1 point is Laplace's method.

    Exact for a polynomial of degree ``2 n_agq - 1`` times the adapted normal density, in each dimension.
    """
    nodes, log_weights = _tensor(n_agq, q, prior)
    # JAX keeps the constant that it makes of an array in the precision of that moment: a rule first used in 32 bits would stay in 32 bits
    return GaussHermite(nodes.copy(), log_weights.copy(), n_agq**q)


@functools.lru_cache(maxsize=64)
def _tensor(n_agq: int, q: int, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    z, w = np.polynomial.hermite_e.hermegauss(n_agq)
    log_w = np.log(w) + 0.5 * z**2 + prior.log_constant(q) / max(q, 1)  # the dimensions share the constant equally
    nodes = np.array(list(itertools.product(z, repeat=q))).reshape(n_agq**q, q)
    log_weights = np.array([sum(term) for term in itertools.product(log_w, repeat=q)], dtype=float)
    return nodes, log_weights


def padded_rule(n_agq: int, q: int, prior: Prior = STANDARD_NORMAL) -> GaussHermite:
    """The same rule in arrays whose length is a power of four that also holds the ``finer`` rule.

    A compiled program that takes it as an argument serves every ``n_agq`` with the same padded length: at least 64 nodes for one
    dimension, 4,096 for two and 16,384 for more, so that most fits share one with the finer rules that they come to.
    """
    rule = tensor_rule(n_agq, q, prior)
    length = {0: 64, 1: 64, 2: 4096}.get(q, 16384)
    while length < finer(n_agq, q) ** q:
        length *= 4
    extra = length - rule.count
    return GaussHermite(np.pad(rule.nodes, ((0, extra), (0, 0))), np.pad(rule.log_weights, (0, extra)), np.int32(rule.count))


def finer(n_agq: int, q: int) -> int:
    """Points per dimension of the rule that judges ``n_agq``: odd, half as many again and at least four more; fewer for a large q."""
    wanted = (n_agq + max(4, n_agq // 2)) | 1
    affordable = [n for n in range(wanted, n_agq, -1) if n**q <= max(_MOST_NODES, n_agq**q)]
    return affordable[0] if affordable else n_agq + 1


def judges(n_agq: int, q: int, prior: Prior = STANDARD_NORMAL) -> tuple[GaussHermite]:
    """The rule that judges ``n_agq``, in arrays of the same length, which hold it by construction."""
    fine, size = padded_rule(finer(n_agq, q), q, prior), padded_rule(n_agq, q, prior).log_weights.shape[0]
    return (fine._replace(nodes=fine.nodes[:size], log_weights=fine.log_weights[:size]),)


def check_n_agq(n_agq: object) -> int:
    """``n_agq`` as an int.

    Raises
    ------
    ArgumentError
        When it is not a whole number >= 1.
    """
    if isinstance(n_agq, bool) or not isinstance(n_agq, int | np.integer) or not 1 <= n_agq <= _MOST_POINTS:
        raise ArgumentError(
            f"n_agq={shown(n_agq)} must be a whole number from 1 to {_MOST_POINTS}, where 1 is Laplace's method; mixed_model also takes "
            "'auto'."
        )
    return int(n_agq)
