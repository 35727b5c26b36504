"""Outcome families, each a frozen dataclass with the log density of one row; ``base`` holds the contract, ``registry`` their names.

- ``base``: the contract of a family
- ``registry``: families by name
- ``links``: link functions
- ``tails``, ``special``: functions that stay exact in the tails
- ``gamma_functions``: log Gamma, its ratios and their derivatives
- ``dispersion``: a family whose extra parameter has a predictor
- ``zero_inflated``, ``hurdle``: zero parts
- ``custom``: densities of the user

One family a file: ``beta``, ``beta_binomial``, ``binomial``, ``censored_normal``, ``conway_maxwell_poisson``, ``cumulative``,
``exponential``, ``gamma``, ``gaussian``, ``generalized_poisson``, ``hurdle_beta``, ``hurdle_gamma``, ``hurdle_lognormal``,
``hurdle_negative_binomial``, ``hurdle_poisson``, ``inverse_gaussian``, ``lognormal``, ``negative_binomial``, ``negative_binomial1``,
``ordered_beta``, ``poisson``, ``student_t``, ``truncated_negative_binomial``, ``truncated_poisson``, ``tweedie``, ``unit_lindley``,
``weibull``, ``zero_inflated_beta_binomial``, ``zero_inflated_binomial``, ``zero_inflated_negative_binomial``, ``zero_inflated_poisson``.
"""

from glmmjax.families.custom import Custom as Custom
from glmmjax.families.dispersion import WithDispersion as WithDispersion
from glmmjax.families.gamma_functions import log_gamma as log_gamma
from glmmjax.families.gamma_functions import log_rising as log_rising
from glmmjax.families.registry import *  # noqa: F403  # Family, FAMILIES, and every family by its class
from glmmjax.families.registry import resolve_family as resolve_family
from glmmjax.families.tails import softplus as softplus
