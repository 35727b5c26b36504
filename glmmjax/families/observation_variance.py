r"""Variance of one row about its linear predictor, on the scale of the link: what R2 and the ICC of a mixed model divide by.

Where the outcome is a function of a latent variable with a known law, it is the variance of that law:

- ``y = eta + e``: of e; ``log y = eta + e``: of e, which for a Weibull time is :math:`\pi^2 / (6 k^2)`
- a 0/1 or ordered outcome: :math:`\pi^2 / 3` (logit), 1 (probit), :math:`\pi^2 / 6` (cloglog)

For counts and a gamma outcome with the log link it follows from :math:`r = \mathrm{var}(y) / \lambda^2` at the mean :math:`\lambda`,
by one of three approximations of the variance of log y: :math:`r` (delta method), :math:`\log(1 + r)` (lognormal), :math:`\psi_1(1 / r)`
(trigamma, exact for a gamma outcome).

Source: Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213, tables 1 and 2; Nakagawa and
Schielzeth (2013), Methods in Ecology and Evolution 4, 133-142, for 0/1 outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import polygamma

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.links import ProbabilityLink

__all__ = ["APPROXIMATIONS", "observation_variance"]

APPROXIMATIONS = ("lognormal", "delta", "trigamma")
_LATENT = {"logit": math.pi**2 / 3.0, "probit": 1.0, "cloglog": math.pi**2 / 6.0}

_Formula = Callable[[tuple[float, ...], float], float]  # of the extra parameters on their natural scale, and the mean of the outcome
# (family, link) -> variance of the latent variable
_EXACT: dict[tuple[str, str], _Formula] = {
    ("gaussian", "identity"): lambda phi, mean: phi[0] ** 2,
    ("censored_normal", "identity"): lambda phi, mean: phi[0] ** 2,
    ("lognormal", "identity"): lambda phi, mean: phi[0] ** 2,
    ("weibull", "log"): lambda phi, mean: math.pi**2 / (6.0 * phi[0] ** 2),
    ("exponential", "log"): lambda phi, mean: math.pi**2 / 6.0,
    ("poisson", "sqrt"): lambda phi, mean: 0.25,
}
# (family, link) -> var(y) / mean^2
_RELATIVE: dict[tuple[str, str], _Formula] = {
    ("poisson", "log"): lambda phi, mean: 1.0 / mean,
    ("negative_binomial", "log"): lambda phi, mean: 1.0 / mean + 1.0 / phi[0],
    ("negative_binomial1", "log"): lambda phi, mean: (1.0 + phi[0]) / mean,
    ("gamma", "log"): lambda phi, mean: 1.0 / phi[0],
}


def observation_variance(family: Family, phi: tuple[float, ...], mean: float, approximation: str) -> float:
    """The variance of a row on the scale of the link.

    Parameters
    ----------
    phi : extra parameters on their natural scale.
    mean : mean of the outcome, the share of successes for a 0/1 one; for the formulas that depend on it.
    approximation : one of ``APPROXIMATIONS``. A 0/1 outcome has the latent variance, except with ``"delta"``.

    Raises
    ------
    ArgumentError
        For a family and link without a formula.
    """
    key = (family.name, family.link.name)
    if key in _EXACT:
        return _EXACT[key](phi, mean)
    if key in _RELATIVE:
        return _of_log(_RELATIVE[key](phi, mean), approximation)
    if family.name in ("binomial", "cumulative") and family.link.name in _LATENT:
        return _of_probability(family, mean) if approximation == "delta" and family.is_binary else _LATENT[family.link.name]
    if family.name == "student_t":
        return _of_student_t(phi, getattr(family, "df", None))
    raise ArgumentError(f"no R2 and no ICC for the {family.name} family with the {family.link.name} link: {_reason(family)}.")


def _of_log(relative: float, approximation: str) -> float:
    if approximation == "delta":
        return relative
    if approximation == "lognormal":
        return math.log1p(relative)
    with jax.enable_x64(True):
        return float(polygamma(1, jnp.asarray(1.0 / relative)))


def _of_probability(family: Family, mean: float) -> float:
    """``p (1 - p) g'(p)^2`` of a 0/1 outcome."""
    if not 0.0 < mean < 1.0:
        raise ArgumentError(f"mean={mean:g} is the share of successes of the {family.name} family, and must lie between 0 and 1.")
    with jax.enable_x64(True):
        slope = float(jax.grad(family.link.link)(jnp.asarray(mean)))
    return mean * (1.0 - mean) * slope**2


def _of_student_t(phi: tuple[float, ...], df: float | None) -> float:
    df = phi[1] if df is None else df
    if df <= 2.0:
        raise ArgumentError(f"no R2 and no ICC for the student_t family with df={df:.3g}: its variance is infinite for df <= 2.")
    return phi[0] ** 2 * (1.0 if math.isinf(df) else df / (df - 2.0))


def _reason(family: Family) -> str:
    if family.has_zero_part:
        return "it has two linear predictors, so that there is no one scale on which variances add up"
    if family.link.name == "cauchit":
        return "the latent variable has a Cauchy distribution, which has no variance"
    if isinstance(family.link, ProbabilityLink) or family.link.name in ("log", "identity", "inverse", "sqrt"):
        return "the variance of a row on the scale of this link has no formula in the literature that its definition rests on"
    return "the variance of a row on the scale of this link is not known"
