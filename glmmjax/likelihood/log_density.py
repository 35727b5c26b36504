"""The log posterior density of the parameters, random effects integrated out: a potential for samplers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.arguments import InstanceOf, Judged, Maybe, takes
from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.covariance import of_levels
from glmmjax.likelihood.marginal import POINT, log_likelihood, point
from glmmjax.likelihood.parameter_priors import Priors, check_priors, log_prior
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.structure import Structure
from glmmjax.values import shown

__all__ = ["log_density"]

_PRIORS = "a gj.Priors, or a function of Params that gives one number"


@takes(**POINT, priors=Judged(_PRIORS), covariance=Maybe(InstanceOf(Structure, "a structure, such as design.covariance")))
def log_density(
    params: Params,
    clusters: ClusterData,
    family: str | Family,
    priors: Priors | Callable[[Params], Any],
    *,
    n_agq: int = 11,
    covariance: Structure | None = None,
) -> Array:
    r"""Log posterior density of the parameters, up to a constant, with the random effects integrated out by quadrature.

    .. math:: \log p(\beta, L, \phi, \gamma, \delta) + \sum_i w_i \log \int \prod_j p(y_{ij} \mid \eta_{ij} + z_{ij}' L u)\, N(u; 0, I)\, du

    It is a density on the entries of ``params``, with respect to Lebesgue measure: of ``beta``, ``phi``, ``gamma``, ``delta``, and of the
    free entries of ``chol``, its lower triangle, whose diagonal has any sign. ``priors`` state densities of standard deviations and
    correlations; the Jacobian of their map to the entries of L is part of the result. A column of L and its negative give the same D and
    have the same density: 2^q mirror images share the posterior. Each of them tells all of it, so draws are read as D = L L', and no
    sampler need visit more than one. Entries of ``chol`` that are not free are not read. They have standard normal densities of their own,
    so that a sampler may move all of ``params``.

    Parameters
    ----------
    params, clusters, family, n_agq : as for ``log_likelihood``.
    priors : ``Priors``; or a function of ``params`` that returns the log prior density of the same entries, Jacobian included. ``Priors()``
        is a constant for all of them, and the maximum that of ``fit_params``; the posterior then need not be proper.
    covariance : ``design.covariance``, unstructured or diagonal; unstructured when not given.

    Returns
    -------
    Array
        A scalar in the dtype of the data, for ``jit``, ``vmap``, ``grad``; the numbers of ``Priors`` may be traced too.

    Raises
    ------
    ArgumentError
        For a shape, family, ``n_agq``, prior or structure that does not fit.

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), Journal of Multivariate Analysis 100, 1989-2001; Gelman (2006), Bayesian Analysis 1, 515-534.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
    >>> priors = gj.Priors(beta=(0.0, 2.5), sd=(2.5, 3.0))
    >>> f"{gj.log_density(params, design.clusters, 'binomial', priors):.2f}"
    '-384.89'
    """
    params, clusters, family, n_agq = point(params, clusters, family, n_agq)
    q = params.chol.shape[0]
    structure = of_levels(q, clusters.buckets[0].levels) if covariance is None else covariance
    if structure.entries is None or structure.q != q:
        raise ArgumentError(
            f"covariance={shown(covariance)} must be an unstructured or diagonal one of {q} random effects, design.covariance; for "
            "another add a log prior of your own to gj.log_likelihood."
        )
    is_free = jnp.zeros((q, q), bool).at[tuple(zip(*structure.entries, strict=True)) or ((), ())].set(True)
    read = params._replace(chol=jnp.where(is_free, params.chol, 0.0))
    unread = jnp.where(is_free, 0.0, -0.5 * params.chol**2 - 0.5 * jnp.log(2.0 * jnp.pi)).sum()
    return log_likelihood(read, clusters, family, n_agq) + _log_prior(read, priors, structure) + unread


def _log_prior(params: Params, priors: Any, structure: Structure) -> Array:
    if isinstance(priors, Priors):
        check_priors(priors, params)
        return log_prior(params, priors, structure)
    if not callable(priors) or isinstance(priors, type) or not _takes_one(priors):
        raise ArgumentError(f"priors={shown(priors)} must be {_PRIORS}.")
    value = priors(params)
    if jnp.shape(value) != () or not jnp.issubdtype(jax.dtypes.result_type(value), jnp.floating):
        raise ArgumentError(f"priors(params) gave {shown(value)}; it must give one number, the log density of all parameters.")
    return jnp.asarray(value, params.beta.dtype)


def _takes_one(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return True
