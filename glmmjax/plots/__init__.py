"""Pictures of a fit, by matplotlib: one subject a file. Every function takes ``ax=None`` and returns the Axes that it drew on.

- ``axes``: the Axes to draw on
- ``checking``: quantile residuals, simulated distributions, rootograms
- ``dynamic``: predictions for subjects after their history
- ``estimates``: coefficients with intervals
- ``many``: one coefficient in many fits
- ``population``: effects along covariates
- ``prediction``: random effects by size, and their density
- ``quantities``: what axes say of a mean
- ``refitting``: influence of the clusters
- ``resampling``: permutation tests, power
"""
