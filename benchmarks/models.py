"""glmmjax's likelihood as the benchmarks evaluate it: the one place that knows of names inside the package."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.problems import BETA, simulate_random_intercept, simulate_two_effects
from glmmjax.estimation.evaluators.cores import Cores
from glmmjax.estimation.objective import Integral, Problem, fit_settings
from glmmjax.estimation.xla.programs import programs
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.gauss_hermite import padded_rule
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.rule import Rule

__all__ = ["Model", "balanced", "of_design", "random_intercept", "two_effects"]


@dataclasses.dataclass(frozen=True)
class Model:
    """The likelihood of a data set near its maximum, at 11 points a random effect."""

    problem: Problem
    buckets: tuple[Any, ...]
    theta: np.ndarray  # (P,) where it is evaluated
    n_agq: int = 11

    @property
    def q(self) -> int:
        """Random effects of a cluster."""
        return self.problem.layout.covariance.q

    @property
    def n_nodes(self) -> int:
        """Quadrature nodes of a cluster."""
        return self.n_agq**self.q

    @property
    def rule(self) -> Rule:
        """As a fit passes it to the compiled programs."""
        return padded_rule(self.n_agq, self.q)

    @property
    def padded_rows(self) -> int:
        """Places for rows, those that only fill up a block included."""
        return sum(bucket.row_weight.size for bucket in self.buckets)

    def parts(self) -> Cores:
        """What a fit of large data evaluates; its search for modes begins at zero until ``keep``."""
        return Cores(fit_settings(self.problem, gj.Options()), Integral(self.buckets, self.rule), programs(is_small=False))

    def pure(self) -> Callable[[], Any]:
        """Value and gradient of ``gj.log_likelihood`` in the parameters, compiled, as a program of the user's own has them."""
        family, clusters = self.problem.family, ClusterData(self.buckets, jnp.zeros(0, int))
        params = self.problem.layout.params(jnp.asarray(self.theta))
        run = jax.jit(jax.value_and_grad(lambda params, clusters: gj.log_likelihood(params, clusters, family, self.n_agq)))
        return lambda: jax.block_until_ready(run(params, clusters))


def of_design(design: gj.Design, chol: tuple[float, ...]) -> Model:
    """At the parameters behind the simulated data; ``chol`` has the free entries of L by row."""
    layout = Theta(len(design.fixed_names), design.covariance)
    return Model(Problem(gj.families.Binomial(), layout), design.clusters.buckets, np.array([*BETA, *chol]))


def random_intercept(data: pd.DataFrame) -> Model:
    """``y ~ x1 + x2`` with a random intercept."""
    return of_design(gj.make_design("y ~ x1 + x2", random="~ 1 | id", data=data, family="binomial"), (1.0,))


def two_effects(clusters: int, cluster_size: int = 8) -> Model:
    """``y ~ time + x`` with correlated random intercept and slope."""
    data = simulate_two_effects(clusters, cluster_size)
    return of_design(gj.make_design("y ~ time + x", random="~ time | id", data=data, family="binomial"), (1.0, 0.18, 0.57))


def balanced(rows: int, cluster_size: int = 10) -> Model:
    """A random intercept in clusters of one size."""
    return random_intercept(simulate_random_intercept(rows, cluster_size))
