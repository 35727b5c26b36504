"""Hurdle beta outcomes."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.beta import Beta
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.links import Link

__all__ = ["HurdleBeta"]


class HurdleBeta(Hurdle):
    r"""Zero with probability pi, and otherwise beta with mean mu and precision :math:`\kappa`.

    .. math:: p(0) = \pi, \qquad
        p(y) = (1 - \pi) \frac{y^{\mu\kappa - 1} (1 - y)^{(1 - \mu)\kappa - 1}}{B(\mu\kappa, (1 - \mu)\kappa)} \quad (0 < y < 1)

    Outcome: numbers 0 <= y < 1. Extra parameter: ``precision``, its logarithm on the free scale.

    Parameters
    ----------
    link : of mu, as for ``Beta``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Ospina and Ferrari (2010), Statistical Papers 51, 111-126.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.HurdleBeta(link="probit")
    >>> f"{family.log_density(0.3, 0.0, jnp.log(jnp.array([5.0])), -1.0):.4f}"  # mean 1/2, precision 5, logit(pi) = -1
    '-0.0455'
    """

    name: ClassVar[str] = "hurdle_beta"
    part_type: ClassVar[type[Family]] = Beta
    links: ClassVar[tuple[type[Link], ...]] = Beta.links
    phi_names: ClassVar[tuple[str, ...]] = Beta.phi_names
    ordinary: ClassVar[float] = 0.5
    support: ClassVar[str] = (
        "proportions 0 <= y < 1, measured and not counted; write successes out of n trials as cbind(s, n - s) for family='binomial'"
    )
