"""Outcome families, each a frozen dataclass with the log density of one row; ``base`` holds the contract, ``registry`` their names.

- ``base``: the contract of a family
- ``registry``: families by name
- ``links``: link functions
- ``tails``, ``special``: functions that stay exact in the tails
- ``gamma_functions``: log Gamma, its ratios and their derivatives
- ``dispersion``: a family whose extra parameter has a predictor
- ``live_outcomes``: a family whose continuous outcomes are predictors, for derivatives in them
- ``observation_variance``: variance of a row on the scale of the link
- ``zero_inflated``, ``hurdle``: zero parts
- ``custom``: densities of the user

One family a file: ``beta``, ``beta_binomial``, ``binomial``, ``censored_normal``, ``conway_maxwell_poisson``, ``cumulative``,
``exponential``, ``gamma``, ``gaussian``, ``generalized_poisson``, ``hurdle_beta``, ``hurdle_gamma``, ``hurdle_lognormal``,
``hurdle_negative_binomial``, ``hurdle_poisson``, ``inverse_gaussian``, ``lognormal``, ``negative_binomial``, ``negative_binomial1``,
``ordered_beta``, ``poisson``, ``student_t``, ``truncated_negative_binomial``, ``truncated_poisson``, ``tweedie``, ``unit_lindley``,
``weibull``, ``zero_inflated_beta_binomial``, ``zero_inflated_binomial``, ``zero_inflated_negative_binomial``, ``zero_inflated_poisson``.
"""

import sys as _sys
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from glmmjax.families.custom import Custom as Custom
from glmmjax.families.dispersion import WithDispersion as WithDispersion
from glmmjax.families.gamma_functions import log_gamma as log_gamma
from glmmjax.families.gamma_functions import log_rising as log_rising
from glmmjax.families.registry import *  # noqa: F403  # Family, FAMILIES, and every family by its class
from glmmjax.families.registry import missing_family as _missing_family
from glmmjax.families.registry import resolve_family as resolve_family
from glmmjax.families.tails import softplus as softplus


class _FileOfAFamily(_ModuleType):
    """``families.poisson`` is a file; a call of it, as of a family, names the family."""

    def __call__(self, *_: _Any, **__: _Any) -> _Any:
        own = next(family.__name__ for family in FAMILIES.values() if family.__module__ == self.__name__)  # noqa: F405
        raise TypeError(f"{self.__name__} is a file of the package and no family; write families.{own}()")


for _family in FAMILIES.values():  # noqa: F405
    _sys.modules[_family.__module__].__class__ = _FileOfAFamily

if not _TYPE_CHECKING:  # a type checker knows the names itself

    def __getattr__(name: str) -> _Any:
        raise _missing_family(__name__, name)
