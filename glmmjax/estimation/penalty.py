"""The Student's t penalty on fixed effects as a function of beta; ``options.StudentTPenalty`` holds its settings."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

from glmmjax.options import StudentTPenalty

__all__ = ["log_penalty"]


def log_penalty(beta: Array, penalty: StudentTPenalty | None, is_intercept: tuple[bool, ...], is_real: Any = True) -> Array:
    r"""Log penalty, added to the log-likelihood that is maximised.

    .. math:: \sum_j \log t_{df}\big((\beta_j - m) / s\big) - \log s, \qquad
              \text{joint: } -\tfrac{df + p}{2} \log\Big(1 + \tfrac{1}{df} \sum_j (\beta_j - m)^2 / s^2\Big)

    Parameters
    ----------
    beta : (p,) fixed effects.
    is_intercept : (p,) which of them is the intercept; left out unless ``include_intercept``. The joint form, GLMMadaptive's
        ``penalized = TRUE``, is over all of them and has no constant.
    is_real : (p,) False for padding, which is not counted.
    """
    if penalty is None:
        return jnp.zeros((), beta.dtype)
    is_real = jnp.broadcast_to(is_real, beta.shape)
    squares = jnp.where(is_real, ((beta - penalty.mean) / penalty.scale) ** 2, 0.0)
    df = penalty.df
    if penalty.joint:
        return -0.5 * (df + is_real.sum()) * jnp.log1p(squares.sum() / df)
    constant = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * jnp.log(df * jnp.pi) - jnp.log(penalty.scale)
    terms = constant - 0.5 * (df + 1.0) * jnp.log1p(squares / df)
    counted = jnp.array([penalty.include_intercept or not skip for skip in is_intercept], bool)
    return jnp.where(counted & is_real, terms, 0.0).sum()
