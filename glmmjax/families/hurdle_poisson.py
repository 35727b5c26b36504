"""Hurdle Poisson counts."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.links import Link
from glmmjax.families.truncated_poisson import TruncatedPoisson

__all__ = ["HurdlePoisson"]


class HurdlePoisson(Hurdle):
    r"""Counts that are 0 with probability pi, and otherwise Poisson without its zero.

    .. math:: p(0) = \pi, \qquad p(y) = (1 - \pi) \frac{\mu^y e^{-\mu}}{y! \, (1 - e^{-\mu})}

    The mean of a positive count is :math:`\mu / (1 - e^{-\mu})`, where mu is the mean before the zero is taken out. Outcome: whole
    numbers >= 0.

    Parameters
    ----------
    link : of mu, as for ``TruncatedPoisson``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Mullahy (1986), Journal of Econometrics 33, 341-365.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.HurdlePoisson()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.array([]), -1.0):.4f}"  # mu 4, logit(pi) = -1
    '-1.9277'
    """

    name: ClassVar[str] = "hurdle_poisson"
    part_type: ClassVar[type[Family]] = TruncatedPoisson
    links: ClassVar[tuple[type[Link], ...]] = TruncatedPoisson.links
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for zeros and positive measurements try family='hurdle_gamma' or 'hurdle_lognormal'"
    )
