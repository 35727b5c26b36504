"""Outcome families, each a frozen dataclass with the log density of one row; ``base`` holds the contract."""

from glmmjax.families.base import Family as Family
from glmmjax.families.binomial import Binomial as Binomial
from glmmjax.families.dispersion import WithDispersion as WithDispersion
from glmmjax.families.poisson import Poisson as Poisson
from glmmjax.families.registry import FAMILIES as FAMILIES
from glmmjax.families.registry import resolve_family as resolve_family
