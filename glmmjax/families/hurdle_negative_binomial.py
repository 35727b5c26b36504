"""Hurdle negative binomial counts."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.hurdle import Hurdle
from glmmjax.families.links import Link
from glmmjax.families.truncated_negative_binomial import TruncatedNegativeBinomial

__all__ = ["HurdleNegativeBinomial"]


class HurdleNegativeBinomial(Hurdle):
    r"""Counts that are 0 with probability pi, and otherwise negative binomial without its zero.

    .. math:: p(0) = \pi, \qquad p(y) = (1 - \pi) \frac{\mathrm{NB}(y; \mu, k)}{1 - \mathrm{NB}(0; \mu, k)}, \qquad
        \mathrm{NB}(0; \mu, k) = \left(\frac{k}{k + \mu}\right)^k

    The mean of a positive count is :math:`\mu / (1 - \mathrm{NB}(0))`, mu being the mean before the zero is taken out.

    Parameters
    ----------
    link : of mu, as for ``TruncatedNegativeBinomial``; ``eta_zi`` is the logit of pi.
    """

    name: ClassVar[str] = "hurdle_negative_binomial"
    part_type: ClassVar[type[Family]] = TruncatedNegativeBinomial
    links: ClassVar[tuple[type[Link], ...]] = TruncatedNegativeBinomial.links
    phi_names: ClassVar[tuple[str, ...]] = TruncatedNegativeBinomial.phi_names
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for zeros and positive measurements try family='hurdle_gamma' or 'hurdle_lognormal'"
    )
