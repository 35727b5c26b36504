"""Zero-inflated negative binomial counts."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.links import Link
from glmmjax.families.negative_binomial import NegativeBinomial
from glmmjax.families.zero_inflated import ZeroInflated
from glmmjax.families.zero_inflated_poisson import ZeroInflatedPoisson

__all__ = ["ZeroInflatedNegativeBinomial"]


class ZeroInflatedNegativeBinomial(ZeroInflated):
    r"""Counts that are 0 with probability pi, and otherwise negative binomial with mean mu and size k.

    .. math:: p(0) = \pi + (1 - \pi) \left(\frac{k}{k + \mu}\right)^k, \qquad
        p(y) = (1 - \pi) \, \mathrm{NB}(y; \mu, k)

    Outcome: whole numbers >= 0. Extra parameter: ``size``, its logarithm on the free scale.

    Parameters
    ----------
    link : of mu, as for ``NegativeBinomial``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Ridout, Hinde and Demétrio (2001), Biometrics 57, 219-223.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.ZeroInflatedNegativeBinomial()
    >>> f"{family.log_density(0.0, jnp.log(4.0), jnp.log(jnp.array([2.0])), -1.0):.4f}"  # mean 4, size 2
    '-1.0493'
    """

    name: ClassVar[str] = "zero_inflated_negative_binomial"
    part_type: ClassVar[type[Family]] = NegativeBinomial
    kinds_at_limits: ClassVar[tuple[type[Family], ...]] = (ZeroInflatedPoisson,)
    links: ClassVar[tuple[type[Link], ...]] = NegativeBinomial.links
    phi_names: ClassVar[tuple[str, ...]] = NegativeBinomial.phi_names
    support: ClassVar[str] = NegativeBinomial.support
