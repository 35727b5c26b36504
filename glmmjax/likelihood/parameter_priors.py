"""Prior densities of the parameters, for potentials of samplers; ``prior`` has the law of the random effects, another thing."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.structure import Structure
from glmmjax.values import NOT_NUMBERS, shape_of, shown

__all__ = ["Priors", "check_priors", "log_prior"]

_COEFFICIENTS = ("beta", "phi", "gamma", "delta")


class Priors(NamedTuple):
    """Independent prior densities of the parameters of a model; None is a constant. Numbers, or arrays that broadcast to the parameter.

    Attributes
    ----------
    beta : (mean, sd) of normal densities of the fixed effects, on the scale of the linear predictor
    sd : (scale, df) of half-Student's t densities of the standard deviations of the random effects, on the same scale
    correlation : shape > 0 of the LKJ density of the correlation matrix R of the random effects, proportional to det(R)^(shape - 1); it
        goes with ``sd``, beside which None is 1, all matrices alike. Without ``sd`` the entries of ``chol`` have a constant density
    phi : (mean, sd) of normal densities of the extra parameters on the free scale: a lognormal density of one that is positive
    gamma : (mean, sd) of normal densities of the fixed effects of the zero part
    delta : (mean, sd) of normal densities of the coefficients of the extra parameter

    Examples
    --------
    >>> gj.Priors(beta=(0.0, 2.5), sd=(2.5, 3.0), correlation=2.0)
    Priors(beta=(0.0, 2.5), sd=(2.5, 3.0), correlation=2.0, phi=None, gamma=None, delta=None)
    """

    beta: Any = None
    sd: Any = None
    correlation: Any = None
    phi: Any = None
    gamma: Any = None
    delta: Any = None


def check_priors(priors: Priors, params: Params) -> None:
    """Refuse priors of other shapes than the parameters, and values that give no density; those of traced numbers are not looked at.

    Raises
    ------
    ArgumentError
    """
    sizes = {name: len(getattr(params, name)) for name in _COEFFICIENTS}
    for name in (*_COEFFICIENTS, "sd"):
        pair, words = getattr(priors, name), ("scale", "df") if name == "sd" else ("mean", "sd")
        if pair is None:
            continue
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ArgumentError(f"priors.{name}={shown(pair)} must be None or a pair ({', '.join(words)}).")
        size = params.chol.shape[0] if name == "sd" else sizes[name]
        if not size:
            raise ArgumentError(f"priors.{name} is given, and the model has no such parameters; leave it out.")
        for word, value in zip(words, pair, strict=True):
            _check(f"priors.{name}: {word}", value, size, is_positive=word != "mean")
    if priors.correlation is not None:
        _check("priors.correlation", priors.correlation, 1, is_positive=True)
        if priors.sd is None:
            raise ArgumentError("priors.correlation goes with priors.sd=(scale, df): without it there is no density of the deviations.")


def _check(what: str, value: Any, size: int, is_positive: bool) -> None:
    if not isinstance(value, jax.core.Tracer):
        try:
            numbers = np.asarray(value, float)
        except NOT_NUMBERS:
            raise ArgumentError(f"{what}={shown(value)} must be a number, or one for each parameter.") from None
        if not np.isfinite(numbers).all() or (is_positive and not (numbers > 0).all()):
            raise ArgumentError(f"{what}={shown(value)} must be finite{' and > 0' if is_positive else ''}.")
    if shape_of(value) not in ((), (size,)):
        raise ArgumentError(f"{what} has shape {shape_of(value)}; the model needs one number, or {size}.")


def log_prior(params: Params, priors: Priors, structure: Structure) -> Array:
    """() log density at ``params`` of the entries of the vectors and of the free entries of ``chol``."""
    pairs = [(jnp.asarray(getattr(params, name), params.beta.dtype), getattr(priors, name)) for name in _COEFFICIENTS]
    total = sum((_normal(values, *pair) for values, pair in pairs if pair is not None), jnp.zeros((), params.beta.dtype))
    return total if priors.sd is None else total + _factor_density(params.chol, priors, structure)


def _normal(values: Array, mean: Any, sd: Any) -> Array:
    z, sd = (values - jnp.asarray(mean, values.dtype)) / jnp.asarray(sd, values.dtype), jnp.asarray(sd, values.dtype)
    return (-0.5 * z * z - jnp.log(sd) - 0.5 * jnp.log(2.0 * jnp.pi)).sum()


def _factor_density(chol: Array, priors: Priors, structure: Structure) -> Array:
    r"""Log density of the free entries of L: row r of length :math:`s_r` in polar coordinates, where :math:`K_{rr} = |L_{rr}| / s_r`.

    For row i of a block of k effects the density of the LKJ law in :math:`K_{i1}, ..., K_{i,i-1}` is
    :math:`K_{ii}^{k - i + 2 \eta - 2} / Z_i`, and the volume element of the row is
    :math:`s^{i-1} K_{ii}^{-1}\, ds\, dK_{i1} ... dK_{i,i-1}`. A factor 1/2 for each column shares the density among the signs of the
    diagonal.
    """
    scale, df = (jnp.asarray(number, chol.dtype) for number in priors.sd)
    shape = jnp.asarray(1.0 if priors.correlation is None else priors.correlation, chol.dtype).reshape(())
    square = (chol * chol).sum(1)
    constant = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * jnp.log(df * jnp.pi) - jnp.log(scale)
    of_sd = constant - 0.5 * (df + 1.0) * jnp.log1p(square / (df * scale**2))  # that of both signs: twice, and half of it for the sign
    i, k = (jnp.asarray(number, chol.dtype) for number in _place_in_block(structure))
    n, power = i - 1.0, k - i + 2.0 * shape - 1.0  # of K_ii, the volume element included
    of_zero = 0.5 * n * jnp.log(jnp.pi) + gammaln(0.5 * (power + 1.0)) - gammaln(0.5 * (power + 1.0 + n))  # log Z_i
    # the first row of a block is its standard deviation, at 0 too
    log_square = jnp.log(jnp.where(n > 0, square, 1.0))
    log_diagonal = jnp.log(jnp.where(n > 0, jnp.diagonal(chol) ** 2, 1.0))
    of_direction = 0.5 * power * (log_diagonal - log_square) - 0.5 * n * log_square - of_zero
    return jnp.broadcast_to(of_sd, i.shape).sum() + jnp.where(n > 0, of_direction, 0.0).sum()


def _place_in_block(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """(q,) the number of each effect in its block, from 1, and the size of that block."""
    sizes = structure.block_sizes
    return np.concatenate([np.arange(size) + 1.0 for size in sizes]), np.repeat(np.array(sizes, float), sizes)
