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

    This is the density of y; GLMMadaptive takes that of log y, without the factor 1/y.

    Parameters
    ----------
    link : ``"identity"``, of the mean of log y; ``eta_zi`` is the logit of pi.
    """

    name: ClassVar[str] = "hurdle_lognormal"
    part_type: ClassVar[type[Family]] = Lognormal
    links: ClassVar[tuple[type[Link], ...]] = Lognormal.links
    phi_names: ClassVar[tuple[str, ...]] = Lognormal.phi_names
    support: ClassVar[str] = "numbers >= 0 on their own scale, not as logarithms; for negative values too try family='student_t'"
