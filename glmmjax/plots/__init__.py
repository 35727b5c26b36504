"""Pictures of a fit, by matplotlib: one subject a file. Every function takes ``ax=None`` and returns the Axes that it drew on.

- ``axes``: the Axes to draw on
- ``checking``: quantile residuals, simulated distributions, rootograms
- ``population``: effects along covariates
- ``prediction``: random effects by size
- ``refitting``: influence of the clusters
"""

from glmmjax.plots.checking import plot_predictive as plot_predictive
from glmmjax.plots.checking import plot_qq as plot_qq
from glmmjax.plots.checking import plot_residuals as plot_residuals
from glmmjax.plots.checking import plot_rootogram as plot_rootogram
from glmmjax.plots.population import plot_effects as plot_effects
from glmmjax.plots.prediction import plot_random_effects as plot_random_effects
from glmmjax.plots.refitting import plot_influence as plot_influence
