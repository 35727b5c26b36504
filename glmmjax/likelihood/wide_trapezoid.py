"""The trapezoidal rule over a whole law of one random effect, for laws under which a posterior can have several peaks.

A mode and the curvature there say nothing of another peak. So the nodes of a cluster stand around the peak that its outcomes have with a
*normal* law of the same variance, which is the only one where the density of the outcomes is log-concave:

    u_k = u_0 + R_0 sinh(x_k),   x_k in equal steps,   log w_k = log(h cosh(x_k)),

with mode u_0 and scale R_0 of ``exp(f_0)``, where f_0 is the log joint with that normal law. Steps are short where outcomes and law both
are, and the ends lie so many R_0 further out that nothing of the law is left there. As functions of the parameters u_0 and R_0 are smooth,
whichever peak is the higher one.

A peak of width s at the distance d is seen by steps of ``h sqrt(R_0^2 + d^2)``: one that is much narrower than this is not, and two rules
then differ by it. The ends move out with the number of points, so that the rule which judges another one sees its tails too.
Source: Trefethen and Weideman (2014), SIAM Review 56, 385-458.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.likelihood.posterior import Posterior, posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rows import Integrand, log_joint
from glmmjax.likelihood.rule import NodePlacement

__all__ = ["WideTrapezoid", "finer", "judges", "padded_wide", "wide_trapezoid"]

_LENGTH, _MOST_POINTS = 256, 255  # of padded arrays, and that they hold
_END, _POINTS_OF_END = 4.0, 63  # sinh(4) is 27, the ends of a rule of so many points


class WideTrapezoid(NamedTuple):
    """Nodes and log weights; only the first ``count`` rows are used.

    Attributes
    ----------
    nodes : (K, 1) hyperbolic sines
    log_weights : (K,) with the constant of the prior among them
    count : number of nodes in use: a Python int (a loop of fixed length) or a traced scalar
    """

    nodes: Any
    log_weights: Any
    count: Any

    def place(self, f: Integrand, posterior_of_law: Posterior) -> NodePlacement:
        """Nodes around the mode under the normal law, where the search begins at that of ``f``."""
        normal = posterior(dataclasses.replace(f, prior=STANDARD_NORMAL), jax.lax.stop_gradient(posterior_of_law.mode))
        still = jax.lax.stop_gradient((f, normal.mode))
        return NodePlacement(normal.mode, normal.root, normal.log_det, jnp.maximum(posterior_of_law.value, log_joint(*still)))


def wide_trapezoid(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> WideTrapezoid:
    """The rule with ``n_points``; ``q`` is 1."""
    end = _END * (n_points / _POINTS_OF_END) ** 0.125
    x = np.linspace(-end, end, n_points)
    log_weights = np.log(np.cosh(x)) + math.log(2.0 * end / (n_points - 1)) + prior.log_constant(q)
    return WideTrapezoid(np.sinh(x)[:, None], log_weights, n_points)


def padded_wide(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> WideTrapezoid:
    """The same rule in arrays of one length for all numbers of points."""
    rule = wide_trapezoid(n_points, q, prior)
    extra = _LENGTH - rule.count
    return WideTrapezoid(np.pad(rule.nodes, ((0, extra), (0, 0))), np.pad(rule.log_weights, (0, extra)), np.int32(rule.count))


def finer(n_points: int, q: int) -> int:
    """Points of the rule that judges ``n_points``."""
    del q  # which is 1
    return min((n_points + n_points // 2) | 1, _MOST_POINTS)


def judges(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> tuple[WideTrapezoid]:
    """The rule that judges ``n_points``, with smaller steps and further ends."""
    return (padded_wide(finer(n_points, q), q, prior),)
