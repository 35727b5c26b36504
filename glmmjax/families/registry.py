"""Families by name: the one place to register a family, and the reading of the ``family=`` argument."""

from __future__ import annotations

from typing import Any

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.beta import Beta
from glmmjax.families.beta_binomial import BetaBinomial
from glmmjax.families.binomial import Binomial
from glmmjax.families.censored_normal import CensoredNormal
from glmmjax.families.conway_maxwell_poisson import ConwayMaxwellPoisson
from glmmjax.families.cumulative import Cumulative
from glmmjax.families.exponential import Exponential
from glmmjax.families.gamma import Gamma
from glmmjax.families.gaussian import Gaussian
from glmmjax.families.generalized_poisson import GeneralizedPoisson
from glmmjax.families.hurdle_beta import HurdleBeta
from glmmjax.families.hurdle_gamma import HurdleGamma
from glmmjax.families.hurdle_lognormal import HurdleLognormal
from glmmjax.families.hurdle_negative_binomial import HurdleNegativeBinomial
from glmmjax.families.hurdle_poisson import HurdlePoisson
from glmmjax.families.inverse_gaussian import InverseGaussian
from glmmjax.families.lognormal import Lognormal
from glmmjax.families.negative_binomial import NegativeBinomial
from glmmjax.families.negative_binomial1 import NegativeBinomial1
from glmmjax.families.ordered_beta import OrderedBeta
from glmmjax.families.poisson import Poisson
from glmmjax.families.student_t import StudentT
from glmmjax.families.truncated_negative_binomial import TruncatedNegativeBinomial
from glmmjax.families.truncated_poisson import TruncatedPoisson
from glmmjax.families.tweedie import Tweedie
from glmmjax.families.unit_lindley import UnitLindley
from glmmjax.families.weibull import Weibull
from glmmjax.families.zero_inflated_beta_binomial import ZeroInflatedBetaBinomial
from glmmjax.families.zero_inflated_binomial import ZeroInflatedBinomial
from glmmjax.families.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial
from glmmjax.families.zero_inflated_poisson import ZeroInflatedPoisson

__all__ = ["FAMILIES", "resolve_family"]

_REGISTERED: tuple[type[Family], ...] = (
    Gaussian,
    Binomial,
    Poisson,
    Beta,
    BetaBinomial,
    CensoredNormal,
    ConwayMaxwellPoisson,
    Cumulative,
    Exponential,
    Gamma,
    GeneralizedPoisson,
    HurdleBeta,
    HurdleGamma,
    HurdleLognormal,
    HurdleNegativeBinomial,
    HurdlePoisson,
    InverseGaussian,
    Lognormal,
    NegativeBinomial,
    NegativeBinomial1,
    OrderedBeta,
    StudentT,
    TruncatedNegativeBinomial,
    TruncatedPoisson,
    Tweedie,
    UnitLindley,
    Weibull,
    ZeroInflatedBetaBinomial,
    ZeroInflatedBinomial,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)

FAMILIES: dict[str, type[Family]] = {family.name: family for family in _REGISTERED}


def resolve_family(family: str | Family) -> Family:
    """The family meant by ``family``: its name with the default link, or the object itself.

    Raises
    ------
    ArgumentError
        When the text names no family, or the object is not a ``Family``.
    """
    if isinstance(family, Family):
        return family
    if isinstance(family, str) and family in FAMILIES:
        with_default_link: Any = FAMILIES[family]
        return with_default_link()
    names = ", ".join(repr(name) for name in FAMILIES)
    raise ArgumentError(
        f"family={family!r} is not known; choose one of {names}, or pass an object such as glmmjax.families.Binomial(link='probit')."
    )
