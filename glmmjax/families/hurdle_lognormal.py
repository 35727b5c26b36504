"""Hurdle log-normal outcomes."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from glmmjax.families.base import resolve_link
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.links import Identity, Link
from glmmjax.families.lognormal import Lognormal

__all__ = ["HurdleLognormal"]


@dataclasses.dataclass(frozen=True)
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
    links: ClassVar[tuple[type[Link], ...]] = Lognormal.links
    phi_names: ClassVar[tuple[str, ...]] = Lognormal.phi_names
    support: ClassVar[str] = "numbers >= 0 on their own scale, not as logarithms; for negative values too try family='student_t'"

    link: Link = dataclasses.field(default_factory=Identity)

    def __init__(self, link: str | Link = "identity"):
        object.__setattr__(self, "link", resolve_link(link, self.links, self.name))

    @property
    def part(self) -> Lognormal:
        return Lognormal(self.link)
