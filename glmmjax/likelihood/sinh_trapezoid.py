"""The trapezoidal rule in the inverse hyperbolic sine of u, for laws of the random effects with heavy tails.

With mode u_hat and scale R of a cluster's posterior, nodes stand at ``u_hat + R sinh(x_k)``, x_k in equal steps from -X to X:

    log of the integral of exp(f(u) + c) du  ~  log|det R| + log sum_k exp(f(u_k) + log w_k),  where w_k = h cosh(x_k).

Where the outcomes of a cluster do not bound its random effect on one side, such as ten successes of ten, its posterior falls like the law,
by a power of u. The nodes of adaptive Gauss-Hermite quadrature, a few posterior standard deviations around the mode, miss such a tail,
whatever their number. In x it falls geometrically, and a normal density faster still, so that the rule converges geometrically for both.
Step and ends are chosen so that their errors, of the order ``exp(-pi^2 / (2 h))`` and ``exp(-df X)``, are about equal.
Source: Trefethen and Weideman (2014), SIAM Review 56, 385-458, section 14.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from glmmjax.likelihood.posterior import Posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rows import Integrand
from glmmjax.likelihood.rule import NodePlacement

__all__ = ["SinhTrapezoid", "finer", "judges", "padded_sinh", "sinh_trapezoid"]

_LENGTH = {1: 256, 2: 4096}  # of padded arrays, by the number of random effects
_MOST_POINTS = {1: 255, 2: 63}  # that they hold
_LEAST_END = 4.0  # sinh(4) is 27 posterior standard deviations, beyond which a law without heavy tails has nothing


class SinhTrapezoid(NamedTuple):
    """Nodes and log weights; only the first ``count`` rows are used.

    Attributes
    ----------
    nodes : (K, q) hyperbolic sines
    log_weights : (K,) with the constant of the prior among them
    count : number of nodes in use: a Python int (a loop of fixed length) or a traced scalar
    """

    nodes: Any
    log_weights: Any
    count: Any

    def place(self, f: Integrand, posterior: Posterior) -> NodePlacement:
        """Nodes around the mode, at the scale of the posterior."""
        del f  # mode and scale say it all
        return NodePlacement(posterior.mode, posterior.root, posterior.log_det, posterior.value)


def sinh_trapezoid(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> SinhTrapezoid:
    """The rule with ``n_points`` in each of ``q`` dimensions, ``n_points ** q`` nodes in all."""
    end = _LEAST_END if prior.tail_df is None else max(_LEAST_END, math.sqrt(0.25 * math.pi**2 * (n_points - 1) / prior.tail_df))
    x = np.linspace(-end, end, n_points)
    log_w = np.log(np.cosh(x)) + math.log(2.0 * end / (n_points - 1))
    nodes = np.array(list(itertools.product(np.sinh(x), repeat=q))).reshape(n_points**q, q)
    log_weights = np.array([sum(term) for term in itertools.product(log_w, repeat=q)]) + prior.log_constant(q)
    return SinhTrapezoid(nodes, log_weights, n_points**q)


def padded_sinh(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> SinhTrapezoid:
    """The same rule in arrays of one length for all numbers of points."""
    rule = sinh_trapezoid(n_points, q, prior)
    extra = _LENGTH[q] - rule.count
    return SinhTrapezoid(np.pad(rule.nodes, ((0, extra), (0, 0))), np.pad(rule.log_weights, (0, extra)), np.int32(rule.count))


def finer(n_points: int, q: int) -> int:
    """Points per dimension of the rule that judges ``n_points``."""
    return min((n_points + n_points // 2) | 1, _MOST_POINTS[q])


def judges(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> tuple[SinhTrapezoid]:
    """The rule that judges ``n_points``, with smaller steps and further ends."""
    return (padded_sinh(finer(n_points, q), q, prior),)
