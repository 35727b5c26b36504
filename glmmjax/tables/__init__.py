"""Numbers of a fit as labelled tables, and as the text and HTML of summaries. No other folder formats numbers.

- ``summary``: the summary
- ``frames``: estimates, D, fit statistics
- ``uncertainty``: covariances and intervals
- ``inference``: tests and comparisons
- ``prediction``: random effects, predictions
- ``population``: marginal coefficients, means, contrasts, effects
- ``checking``: simulations, residual tests, scores
- ``refitting``: influence and the bootstrap
- ``tidy``: tidy, glance, augment
- ``page``: sections as text, HTML, LaTeX, Markdown
- ``export``: the three formats
- ``text``: numbers as text
"""

from glmmjax.tables.checking import quantile_residual_series as quantile_residual_series
from glmmjax.tables.checking import residual_tests_frame as residual_tests_frame
from glmmjax.tables.checking import residual_tests_html as residual_tests_html
from glmmjax.tables.checking import residual_tests_text as residual_tests_text
from glmmjax.tables.checking import scoring_frame as scoring_frame
from glmmjax.tables.checking import simulation_frame as simulation_frame
from glmmjax.tables.frames import coefficient_frame as coefficient_frame
from glmmjax.tables.frames import fixed_covariance_frame as fixed_covariance_frame
from glmmjax.tables.frames import phi_frame as phi_frame
from glmmjax.tables.frames import random_covariance_frame as random_covariance_frame
from glmmjax.tables.frames import random_effects_covariance_frame as random_effects_covariance_frame
from glmmjax.tables.frames import random_effects_frame as random_effects_frame
from glmmjax.tables.frames import spread_frame as spread_frame
from glmmjax.tables.inference import anova_frame as anova_frame
from glmmjax.tables.inference import anova_html as anova_html
from glmmjax.tables.inference import anova_text as anova_text
from glmmjax.tables.inference import test_frame as test_frame
from glmmjax.tables.inference import test_html as test_html
from glmmjax.tables.inference import test_text as test_text
from glmmjax.tables.inference import vif_frame as vif_frame
from glmmjax.tables.page import Summary as Summary
from glmmjax.tables.population import contrast_frame as contrast_frame
from glmmjax.tables.population import effect_frame as effect_frame
from glmmjax.tables.population import marginal_coefficient_covariance as marginal_coefficient_covariance
from glmmjax.tables.population import marginal_coefficient_frame as marginal_coefficient_frame
from glmmjax.tables.population import marginal_coefficient_intervals as marginal_coefficient_intervals
from glmmjax.tables.population import marginal_coefficient_summary as marginal_coefficient_summary
from glmmjax.tables.population import mean_frame as mean_frame
from glmmjax.tables.prediction import cluster_coefs_frame as cluster_coefs_frame
from glmmjax.tables.prediction import fitted_table as fitted_table
from glmmjax.tables.prediction import prediction_table as prediction_table
from glmmjax.tables.prediction import random_effects_table as random_effects_table
from glmmjax.tables.prediction import residual_series as residual_series
from glmmjax.tables.refitting import bootstrap_converged_series as bootstrap_converged_series
from glmmjax.tables.refitting import bootstrap_interval_frame as bootstrap_interval_frame
from glmmjax.tables.refitting import bootstrap_parameter_frame as bootstrap_parameter_frame
from glmmjax.tables.refitting import bootstrap_text as bootstrap_text
from glmmjax.tables.refitting import cooks_series as cooks_series
from glmmjax.tables.refitting import dfbetas_frame as dfbetas_frame
from glmmjax.tables.refitting import leave_cluster_out_series as leave_cluster_out_series
from glmmjax.tables.summary import one_line as one_line
from glmmjax.tables.summary import summary as summary
from glmmjax.tables.tidy import augment_frame as augment_frame
from glmmjax.tables.tidy import glance_frame as glance_frame
from glmmjax.tables.tidy import tidy_frame as tidy_frame
from glmmjax.tables.uncertainty import covariance_frame as covariance_frame
from glmmjax.tables.uncertainty import interval_frame as interval_frame
