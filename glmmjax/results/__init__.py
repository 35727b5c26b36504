"""Results of a fit: every method and property is one line that asks ``postfit``, ``tables`` or ``plots``.

- ``mixed_model``: ``MixedModelResults``, all subjects in one class
- ``estimates``: estimates, fit statistics, summary
- ``uncertainty``: covariances and intervals
- ``inference``: Wald and score tests
- ``comparison``: ``anova``, ``compare_models``
- ``cross_validation``: ``cross_validate``
- ``nonparametric``: ``nonparametric_effects``
- ``permutation``: ``permutation_test``
- ``pooling``: ``pool``
- ``power_analysis``: ``power``
- ``dynamic_plot``: the picture of dynamic predictions
- ``prediction``: random effects, predictions, residuals
- ``population``: marginal coefficients and means, contrasts, effects
- ``variance_shares``: R2 and the intraclass correlation
- ``marginal_coefs``: the record of marginal coefficients
- ``checking``: simulation, quantile residuals, scores
- ``checking_plots``: their pictures
- ``quantile_residuals``: the record of quantile residuals
- ``refitting``: influence and the bootstrap
- ``influence``, ``bootstrap``: their records
- ``many_numbers``, ``many_plots``, ``many_tests``, ``many``: many fits of one model
- ``exchange``: tidy tables, saving, other packages
"""

from glmmjax.results.bootstrap import BootstrapResults as BootstrapResults
from glmmjax.results.comparison import AnovaResults as AnovaResults
from glmmjax.results.comparison import ModelComparison as ModelComparison
from glmmjax.results.comparison import anova as anova
from glmmjax.results.comparison import compare_models as compare_models
from glmmjax.results.cross_validation import CrossValidationResults as CrossValidationResults
from glmmjax.results.cross_validation import cross_validate as cross_validate
from glmmjax.results.inference import TestResults as TestResults
from glmmjax.results.influence import InfluenceResults as InfluenceResults
from glmmjax.results.many import ManyFits as ManyFits
from glmmjax.results.marginal_coefs import MarginalCoefsResults as MarginalCoefsResults
from glmmjax.results.mixed_model import MixedModelResults as MixedModelResults
from glmmjax.results.nonparametric import NonparametricEffects as NonparametricEffects
from glmmjax.results.nonparametric import nonparametric_effects as nonparametric_effects
from glmmjax.results.permutation import PermutationTestResults as PermutationTestResults
from glmmjax.results.permutation import permutation_test as permutation_test
from glmmjax.results.pooling import pool as pool
from glmmjax.results.power_analysis import PowerResults as PowerResults
from glmmjax.results.power_analysis import power as power
from glmmjax.results.quantile_residuals import QuantileResiduals as QuantileResiduals
from glmmjax.tables.page import Summary as Summary
