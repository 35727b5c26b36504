"""Whether means over the law of the random effects are finite, which under heavy tails they need not be."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.population import grid_half

__all__ = ["check_population_mean"]

_FAR = 40.0  # of a linear predictor, where a power and an exponential are told apart
_LARGEST_POWER = 8.0
_NEGLIGIBLE = 23.0  # the ends of a grid have this much less, in logarithms, than its largest term


def check_population_mean(fitted: FittedModel, moment: int = 1) -> None:
    """Refuse a mean over the law of the random effects that is infinite: that of the conditional mean to the power ``moment``.

    Raises
    ------
    ArgumentError
    """
    family, df = fitted.problem.family, fitted.problem.prior.tail_df
    if fitted.problem.prior.has_linear_gradient or family.is_ordinal or not fitted.design.random_names:
        return
    if df is None:
        return _check_light_tails(fitted, moment)
    power = _growth(fitted)
    if power <= _LARGEST_POWER and moment * power < df:
        return
    what = "mean" if moment == 1 else "variance"
    how = "grows exponentially" if power > _LARGEST_POWER else f"grows with power {power:.0f}"
    raise ArgumentError(
        f"the {what} of the outcome over the population is infinite: the conditional mean of the {family.name} family {how} in its linear "
        f"predictor, whose random effects have the law {fitted.problem.prior.text} with tails too heavy for that. Means at given random "
        "effects (kind='mean_subject', 'subject_specific'), simulated outcomes and their quantiles are finite; or fit normal random "
        "effects, update(random_effects_law=None)."
    )


def _check_light_tails(fitted: FittedModel, moment: int) -> None:
    """Refuse a mean that grows exponentially where the tails of a law do not fall fast enough for it to end within the grid of the mean."""
    problem, power = fitted.problem, _growth(fitted)
    if power <= _LARGEST_POWER:
        return
    rate = moment * power * math.log(2.0) / (0.5 * _FAR)  # of the logarithm of the mean, for each unit of the predictor
    spread = float((np.sqrt(np.diagonal(fitted.params.chol @ fitted.params.chol.T)) * fitted.design.random_reach).max())
    half = grid_half(problem.prior, spread)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        u = np.linspace(-half, half, 4001)
        terms = np.asarray(problem.prior.log_density(u[None])) + rate * spread * np.abs(u)
    if max(terms[0], terms[-1]) < terms.max() - _NEGLIGIBLE:
        return
    raise ArgumentError(
        f"the {'mean' if moment == 1 else 'variance'} of the outcome over the population is infinite, or lies too far out in the tails of "
        f"the law {problem.prior.text} to be computed: the conditional mean of the {problem.family.name} family grows exponentially in its "
        "linear predictor. Means at given random effects (kind='mean_subject', 'subject_specific'), simulated outcomes and their quantiles "
        "are finite; or fit normal random effects, update(random_effects_law=None)."
    )


def _growth(fitted: FittedModel) -> float:
    """The power by which the conditional mean grows far out."""
    family = fitted.problem.family
    with jax.enable_x64(True):
        phi = jnp.zeros((len(family.phi_names), 1)) if family.has_dispersion else jnp.asarray(fitted.params.phi, float)[:, None]
        zero = (jnp.zeros(1),) if family.has_zero_part else ()
        ends = [[np.abs(np.asarray(family.mean(jnp.full(1, sign * at), phi, *zero))) for at in (_FAR / 2, _FAR)] for sign in (-1.0, 1.0)]
    return max(math.log2(max(float(far[0]), 1e-300) / max(float(near[0]), 1e-300)) for near, far in ends)
