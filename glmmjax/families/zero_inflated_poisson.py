"""Zero-inflated Poisson counts."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.links import Link
from glmmjax.families.poisson import Poisson
from glmmjax.families.zero_inflated import ZeroInflated

__all__ = ["ZeroInflatedPoisson"]


class ZeroInflatedPoisson(ZeroInflated):
    r"""Counts that are 0 with probability pi, and otherwise Poisson with mean mu.

    .. math:: p(0) = \pi + (1 - \pi) e^{-\mu}, \qquad p(y) = (1 - \pi) \mu^y e^{-\mu} / y!

    Outcome: whole numbers >= 0.

    Parameters
    ----------
    link : of mu, as for ``Poisson``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Lambert (1992), Technometrics 34, 1-14.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.ZeroInflatedPoisson()
    >>> f"{family.log_density(0.0, jnp.log(4.0), jnp.array([]), -1.0):.4f}"  # mean 4, logit(pi) = -1
    '-1.2647'
    """

    name: ClassVar[str] = "zero_inflated_poisson"
    part_type: ClassVar[type[Family]] = Poisson
    links: ClassVar[tuple[type[Link], ...]] = Poisson.links
    support: ClassVar[str] = Poisson.support
