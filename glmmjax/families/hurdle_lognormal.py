"""Hurdle log-normal outcomes."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.links import Link
from glmmjax.families.lognormal import Lognormal

__all__ = ["HurdleLognormal"]


class HurdleLognormal(Hurdle):
    r"""Zero with probability pi, and otherwise log-normal: log y has mean eta and standard deviation :math:`\sigma`.

    .. math:: p(0) = \pi, \qquad p(y) = (1 - \pi) \, N(\log y; \eta, \sigma^2) / y \quad (y > 0)

    Outcome: numbers >= 0. Extra parameter: ``sd`` of log y, its logarithm on the free scale. This is the density of y; GLMMadaptive takes
    that of log y, without the factor 1/y.

    Parameters
    ----------
    link : ``"identity"``, of the mean of log y; ``eta_zi`` is the logit of pi.

    References
    ----------
    Duan, Manning, Morris and Newhouse (1983), Journal of Business and Economic Statistics 1, 115-126.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.HurdleLognormal()
    >>> f"{family.log_density(1.5, 0.5, jnp.log(jnp.array([2.0])), -1.0):.4f}"  # sd 2, logit(pi) = -1
    '-2.3319'
    """

    name: ClassVar[str] = "hurdle_lognormal"
    part_type: ClassVar[type[Family]] = Lognormal
    links: ClassVar[tuple[type[Link], ...]] = Lognormal.links
    phi_names: ClassVar[tuple[str, ...]] = Lognormal.phi_names
    support: ClassVar[str] = "numbers >= 0 on their own scale, not as logarithms; for negative values too try family='student_t'"
