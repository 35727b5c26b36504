"""What is added over clusters: log-likelihood, gradient, and sums that tell how much clusters change from one rule to another."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.likelihood.params import Params

__all__ = ["N_SIGNED", "ClusterSums", "no_sums", "sums_of"]

N_SIGNED = 8


class ClusterSums(NamedTuple):
    """Sums over clusters.

    Errors of a rule may cancel between clusters, and then another rule, which errs otherwise, shows less than the true error. The mean
    square of the change of ``signed`` is about the sum of the squared changes of all clusters, in which nothing cancels.
    Source: Hutchinson (1990), Communications in Statistics B 19, 433-450.

    Attributes
    ----------
    value : () weighted log-likelihood
    gradient : derivatives in the ``Params``, those in chol for every entry of it
    signed : (N_SIGNED,) the terms of ``value`` added with random signs; 0 for crossed factors, which have one term
    """

    value: Array
    gradient: Params
    signed: Array


def sums_of(values: Array, gradient: Params) -> ClusterSums:
    """The sums of a block with weighted log-likelihoods ``values`` (B,). The signs are the same in every block."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (N_SIGNED, len(values)))
    return ClusterSums(values.sum(), gradient, jnp.asarray(signs, values.dtype) @ values)


def no_sums(params: Params) -> ClusterSums:
    """The sums over no clusters."""
    dtype = params.beta.dtype
    return ClusterSums(jnp.zeros((), dtype), jax.tree.map(jnp.zeros_like, params), jnp.zeros(N_SIGNED, dtype))
