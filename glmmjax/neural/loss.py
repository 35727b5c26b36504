"""The negative log marginal likelihood where the fixed part of the predictor is any JAX array."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.arguments import InstanceOf, Judged, takes
from glmmjax.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.families import Family
from glmmjax.likelihood.marginal import in_ambient_precision, log_likelihood
from glmmjax.likelihood.params import Params
from glmmjax.neural.batches import ClusterBatch, whole_batch
from glmmjax.values import shown

__all__ = ["marginal_loss"]


@takes(
    predictor_values=Judged("an array with a number for each row"),
    params=InstanceOf(Params, "a Params, such as that of a fit"),
    clusters=InstanceOf((Design, ClusterBatch), "a Design, such as that of make_design, or a batch of cluster_batches"),
    family=Judged("the name of a family, or a family object"),
    n_agq=Judged("a whole number of points"),
)
def marginal_loss(predictor_values: Any, params: Params, clusters: Design | ClusterBatch, family: str | Family, n_agq: int = 11) -> Array:
    r"""Negative log marginal likelihood with the output of a network, a spline or an embedding in the linear predictor.

    .. math:: -\sum_i w_i \log \int \prod_j p(y_{ij} \mid x_{ij}'\beta + o_{ij} + f_{ij} + z_{ij}' L u)\, N(u; 0, I)\, du

    Parameters
    ----------
    predictor_values : (k,) :math:`f`, on the scale of the linear predictor: a number for each row of ``design.row_labels``, or for each of
        ``batch.rows``. It is added to the fixed effects and the offset of the design. Any floating-point dtype; the sum is taken in that
        of the design, so that a network may run in float32 or bfloat16 beside a likelihood in float64.
    params : ``Params``; ``beta`` has an entry for each column of ``design.fixed_names`` (none for ``"y ~ 0"``).
    clusters : a design, or a batch of ``cluster_batches``.
    family : a ``Family``, or its name; static under ``jit``.
    n_agq : quadrature points per random effect; static under ``jit``.

    Returns
    -------
    Array
        A scalar. ``jit``, ``grad``, ``hessian``, ``vmap`` work in ``predictor_values`` and ``params``. The expectation over batches is the
        loss of the whole design.

    Raises
    ------
    ArgumentError
        For predictor values of another length or type, and what ``log_likelihood`` refuses.

    References
    ----------
    Simchoni and Rosset (2023), Journal of Machine Learning Research 24(156), for networks with random effects.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ 1", random="~ 1 | id", data=data, family="binomial")
    >>> params = gj.Params(beta=jnp.array([-2.6]), chol=jnp.array([[2.0]]))
    >>> time = jnp.asarray(data["time"].to_numpy())
    >>> loss = lambda slope: gj.marginal_loss(slope * time, params, design, "binomial")
    >>> f"{loss(0.2):.2f}, slope {jax.grad(loss)(0.2):.1f}"
    '384.69, slope -183.3'
    """
    batch = whole_batch(clusters) if isinstance(clusters, Design) else clusters
    values = _checked(predictor_values, len(batch.rows))
    data = in_ambient_precision(batch.clusters)
    buckets = []
    for bucket, places in zip(data.buckets, batch.places, strict=True):
        offset = jnp.asarray(bucket.offset)
        buckets.append(bucket._replace(offset=offset.at[:, 0].add(values.astype(offset.dtype)[places])))
    return -log_likelihood(params, data._replace(buckets=tuple(buckets)), family, n_agq)


def _checked(values: Any, n: int) -> Array:
    """The predictor values as an array, (n,).

    Raises
    ------
    ArgumentError
    """
    try:
        found = values if isinstance(values, Array) else np.asarray(values)
    except ValueError as error:
        raise ArgumentError(f"predictor_values={shown(values)} must be an array with a number for each of the {n} rows.") from error
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise ArgumentError(f"predictor_values have dtype {found.dtype}, and must be floating-point numbers, such as a network's output.")
    if found.shape != (n,):
        hint = "; take values[:, 0]" if found.shape == (n, 1) else ""
        raise ArgumentError(f"predictor_values have shape {found.shape}, and there are {n} rows: they must have shape ({n},){hint}.")
    return jnp.asarray(found)
