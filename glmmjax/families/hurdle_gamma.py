"""Hurdle Gamma outcomes."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.gamma import Gamma
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.links import Link

__all__ = ["HurdleGamma"]


class HurdleGamma(Hurdle):
    r"""Zero with probability pi, and otherwise Gamma with mean mu and shape :math:`\alpha`.

    .. math:: p(0) = \pi, \qquad
        p(y) = (1 - \pi) \frac{(\alpha / \mu)^\alpha}{\Gamma(\alpha)} y^{\alpha - 1} e^{-\alpha y / \mu} \quad (y > 0)

    Outcome: numbers >= 0. Extra parameter: ``shape``, its logarithm on the free scale.

    Parameters
    ----------
    link : of mu, as for ``Gamma``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Mullahy (1986), Journal of Econometrics 33, 341-365.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.HurdleGamma()
    >>> f"{family.log_density(0.0, jnp.log(2.0), jnp.log(jnp.array([3.0])), -1.0):.4f}"  # log(pi) for logit(pi) = -1
    '-1.3133'
    """

    name: ClassVar[str] = "hurdle_gamma"
    part_type: ClassVar[type[Family]] = Gamma
    links: ClassVar[tuple[type[Link], ...]] = Gamma.links
    phi_names: ClassVar[tuple[str, ...]] = Gamma.phi_names
    support: ClassVar[str] = "numbers >= 0; for counts try family='hurdle_poisson' or 'hurdle_negative_binomial'"
