"""Hurdle negative binomial counts."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.hurdle_poisson import HurdlePoisson
from glmmjax.families.links import Link
from glmmjax.families.truncated_negative_binomial import TruncatedNegativeBinomial

__all__ = ["HurdleNegativeBinomial"]


class HurdleNegativeBinomial(Hurdle):
    r"""Counts that are 0 with probability pi, and otherwise negative binomial without its zero.

    .. math:: p(0) = \pi, \qquad p(y) = (1 - \pi) \frac{\mathrm{NB}(y; \mu, k)}{1 - \mathrm{NB}(0; \mu, k)}, \qquad
        \mathrm{NB}(0; \mu, k) = \left(\frac{k}{k + \mu}\right)^k

    The mean of a positive count is :math:`\mu / (1 - \mathrm{NB}(0))`, where mu is the mean before the zero is taken out. Outcome: whole
    numbers >= 0. Extra parameter: ``size`` k, its logarithm on the free scale.

    Parameters
    ----------
    link : of mu, as for ``TruncatedNegativeBinomial``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Mullahy (1986), Journal of Econometrics 33, 341-365.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.HurdleNegativeBinomial()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.log(jnp.array([2.0])), -1.0):.4f}"  # mu 4, size 2
    '-2.2228'
    """

    name: ClassVar[str] = "hurdle_negative_binomial"
    part_type: ClassVar[type[Family]] = TruncatedNegativeBinomial
    kinds_at_limits: ClassVar[tuple[type[Family], ...]] = (HurdlePoisson,)
    links: ClassVar[tuple[type[Link], ...]] = TruncatedNegativeBinomial.links
    phi_names: ClassVar[tuple[str, ...]] = TruncatedNegativeBinomial.phi_names
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for zeros and positive measurements try family='hurdle_gamma' or 'hurdle_lognormal'"
    )
