"""The Student's t penalty on fixed effects as a function of beta and of its numbers; ``options.StudentTPenalty`` holds its settings.

Its form is static. Its numbers are data, as outcomes are: programs take them as an array, and a fit is differentiated in them.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

from glmmjax.errors import ArgumentError
from glmmjax.options import StudentTPenalty

__all__ = ["known_penalty", "log_penalty", "penalty_form", "penalty_numbers"]


def penalty_numbers(penalty: StudentTPenalty | None, dtype: Any) -> Array:
    """(3,) mean, scale and degrees of freedom; those of the default, which nothing reads, without a penalty."""
    penalty = StudentTPenalty() if penalty is None else penalty
    return jnp.stack([jnp.asarray(number, dtype) for number in (penalty.mean, penalty.scale, penalty.df)])


def penalty_form(penalty: StudentTPenalty | None) -> StudentTPenalty | None:
    """``penalty`` with the numbers of the default, so that programs which take its numbers as data are the same for all of them."""
    return None if penalty is None else StudentTPenalty(include_intercept=penalty.include_intercept, joint=penalty.joint)


def known_penalty(argument: str, penalty: StudentTPenalty | None) -> StudentTPenalty | None:
    """``penalty``, for a fit whose programs are compiled for its numbers.

    Raises
    ------
    ArgumentError
        When one of them is traced.
    """
    if penalty is not None and penalty.is_traced:
        raise ArgumentError(
            f"{argument}=StudentTPenalty(...) has a traced number, and this fit needs numbers that are known; take gj.fit_params, "
            "which is traced and differentiated in them."
        )
    return penalty


def log_penalty(beta: Array, numbers: Array, form: StudentTPenalty | None, is_intercept: tuple[bool, ...], is_real: Any = True) -> Array:
    r"""Log penalty, added to the log-likelihood that is maximised.

    .. math:: \sum_j \log t_{df}\big((\beta_j - m) / s\big) - \log s, \qquad
              \text{joint: } -\tfrac{df + p}{2} \log\Big(1 + \tfrac{1}{df} \sum_j (\beta_j - m)^2 / s^2\Big)

    Parameters
    ----------
    beta : (p,) fixed effects.
    numbers : (3,) m, s and df.
    form : which coefficients are penalised, and whether jointly; its own numbers are not read. None is no penalty.
    is_intercept : (p,) which of them is the intercept; left out unless ``include_intercept``. The joint form, GLMMadaptive's
        ``penalized = TRUE``, is over all of them and has no constant.
    is_real : (p,) False for padding, which is not counted.
    """
    if form is None:
        return jnp.zeros((), beta.dtype)
    mean, scale, df = numbers
    is_real = jnp.broadcast_to(is_real, beta.shape)
    squares = jnp.where(is_real, ((beta - mean) / scale) ** 2, 0.0)
    if form.joint:
        return -0.5 * (df + is_real.sum()) * jnp.log1p(squares.sum() / df)
    constant = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * jnp.log(df * jnp.pi) - jnp.log(scale)
    terms = constant - 0.5 * (df + 1.0) * jnp.log1p(squares / df)
    counted = jnp.array([form.include_intercept or not skip for skip in is_intercept], bool)
    return jnp.where(counted & is_real, terms, 0.0).sum()
