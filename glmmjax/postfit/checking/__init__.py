"""Checks whether the model fits the data: simulation, residuals, scores.

- ``predictive_checks``: Empirical distribution of the outcomes beside those of data sets simulated from the model
- ``quantile_residuals``: Randomised quantile residuals, by simulation
- ``residual_tests``: Tests of quantile residuals: uniformity, dispersion, outliers, zeros
- ``residuals``: Residuals of the rows fitted: raw, Pearson and deviance residuals
- ``rootogram``: Observed and expected frequencies of counts
- ``scoring``: Proper scoring rules of predictive distributions of discrete outcomes
- ``separation``: Why a fit diverges: outcomes that are separated, found by linear programming
- ``simulate``: Outcomes drawn from the fitted model, for the rows fitted or for new ones
"""
