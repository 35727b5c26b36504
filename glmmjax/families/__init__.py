"""Outcome families, each a frozen dataclass with the log density of one row; ``base`` holds the contract, ``registry`` their names."""

from glmmjax.families.custom import Custom as Custom
from glmmjax.families.dispersion import WithDispersion as WithDispersion
from glmmjax.families.registry import *  # noqa: F403  # Family, FAMILIES, and every family by its class
from glmmjax.families.registry import resolve_family as resolve_family
from glmmjax.families.special import log_gamma as log_gamma
from glmmjax.families.special import log_rising as log_rising
from glmmjax.families.tails import softplus as softplus
