"""Results of a fit: every method and property is one line that asks ``postfit``, ``tables`` or ``plots``."""

from glmmjax.results.comparison import AnovaResults as AnovaResults
from glmmjax.results.comparison import anova as anova
from glmmjax.results.mixed_model import MixedModelResults as MixedModelResults
