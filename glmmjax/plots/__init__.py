"""Pictures of a fit, by matplotlib: one subject a file. Every function takes ``ax=None`` and returns the Axes that it drew on."""

from glmmjax.plots.caterpillar import plot_random_effects as plot_random_effects
from glmmjax.plots.effects import plot_effects as plot_effects
from glmmjax.plots.influence import plot_influence as plot_influence
from glmmjax.plots.predictive import plot_predictive as plot_predictive
from glmmjax.plots.residuals import plot_qq as plot_qq
from glmmjax.plots.residuals import plot_residuals as plot_residuals
from glmmjax.plots.rootogram import plot_rootogram as plot_rootogram
