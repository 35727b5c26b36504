"""Families by name: the one place to register a family, by one line, and the reading of the ``family=`` argument."""

from __future__ import annotations

from typing import Any

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family as Family
from glmmjax.families.beta import Beta as Beta
from glmmjax.families.beta_binomial import BetaBinomial as BetaBinomial
from glmmjax.families.binomial import Binomial as Binomial
from glmmjax.families.censored_normal import CensoredNormal as CensoredNormal
from glmmjax.families.conway_maxwell_poisson import ConwayMaxwellPoisson as ConwayMaxwellPoisson
from glmmjax.families.cumulative import Cumulative as Cumulative
from glmmjax.families.exponential import Exponential as Exponential
from glmmjax.families.gamma import Gamma as Gamma
from glmmjax.families.gaussian import Gaussian as Gaussian
from glmmjax.families.generalized_poisson import GeneralizedPoisson as GeneralizedPoisson
from glmmjax.families.hurdle_beta import HurdleBeta as HurdleBeta
from glmmjax.families.hurdle_gamma import HurdleGamma as HurdleGamma
from glmmjax.families.hurdle_lognormal import HurdleLognormal as HurdleLognormal
from glmmjax.families.hurdle_negative_binomial import HurdleNegativeBinomial as HurdleNegativeBinomial
from glmmjax.families.hurdle_poisson import HurdlePoisson as HurdlePoisson
from glmmjax.families.inverse_gaussian import InverseGaussian as InverseGaussian
from glmmjax.families.lognormal import Lognormal as Lognormal
from glmmjax.families.negative_binomial import NegativeBinomial as NegativeBinomial
from glmmjax.families.negative_binomial1 import NegativeBinomial1 as NegativeBinomial1
from glmmjax.families.ordered_beta import OrderedBeta as OrderedBeta
from glmmjax.families.poisson import Poisson as Poisson
from glmmjax.families.student_t import StudentT as StudentT
from glmmjax.families.truncated_negative_binomial import TruncatedNegativeBinomial as TruncatedNegativeBinomial
from glmmjax.families.truncated_poisson import TruncatedPoisson as TruncatedPoisson
from glmmjax.families.tweedie import Tweedie as Tweedie
from glmmjax.families.unit_lindley import UnitLindley as UnitLindley
from glmmjax.families.weibull import Weibull as Weibull
from glmmjax.families.zero_inflated_beta_binomial import ZeroInflatedBetaBinomial as ZeroInflatedBetaBinomial
from glmmjax.families.zero_inflated_binomial import ZeroInflatedBinomial as ZeroInflatedBinomial
from glmmjax.families.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial as ZeroInflatedNegativeBinomial
from glmmjax.families.zero_inflated_poisson import ZeroInflatedPoisson as ZeroInflatedPoisson
from glmmjax.other_names import FAMILIES as OTHER_NAMES
from glmmjax.other_names import advice_on_name
from glmmjax.values import shown

# every family imported above, by the text that selects it
FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in list(vars().values())
    if isinstance(family, type) and issubclass(family, Family) and family is not Family
}


def missing_family(module: str, name: str) -> AttributeError:
    """The error of a module of families that has no ``name``; it names the family that was probably meant."""
    text = f"module {module!r} has no attribute {name!r}"
    near = "" if name.startswith("_") else advice_on_name(name, OTHER_NAMES, FAMILIES)
    return AttributeError(f"{text}; write families.{FAMILIES[near].__name__}()" if near else text)


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
    given: Any = family
    if isinstance(given, type) and issubclass(given, Family):
        raise ArgumentError(f"family={given.__name__} is a class; call it, family=glmmjax.families.{given.__name__}().")
    asked = family if isinstance(family, str) else getattr(given, "__name__", type(given).__name__)
    called, bracket, rest = asked.partition("(")
    name = advice_on_name(called, OTHER_NAMES, FAMILIES) if bracket else ""
    if asked in ("probit", "cloglog", "cauchit"):
        name, rest = "binomial", f"link={asked!r})"
    if name:
        what = f"{FAMILIES[name].__name__}({rest}"
        raise ArgumentError(f"family={shown(family)} is not known; write an object in the place of the text, glmmjax.families.{what}.")
    near = advice_on_name(asked, OTHER_NAMES, FAMILIES)
    if near:
        raise ArgumentError(
            f"family={shown(family)} is not known; did you mean family={near!r}, glmmjax.families.{FAMILIES[near].__name__}()?"
        )
    names = ", ".join(repr(name) for name in FAMILIES)
    raise ArgumentError(
        f"family={shown(family)} is not known; choose one of {names}, or pass an object such as glmmjax.families.Binomial(link='probit')."
    )
