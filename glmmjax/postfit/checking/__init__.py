"""Whether the model fits the data: simulation, residuals, scores.

- ``fitted_values``: Fitted values: predictions of the rows that were fitted
- ``predictive_checks``: Empirical distribution of the outcomes beside those of data sets simulated from the model
- ``quantile_residuals``
- ``residual_tests``: Tests of quantile residuals: uniformity, dispersion, outliers, zeros
- ``residuals``: Residuals of the rows fitted: raw, Pearson and deviance residuals
- ``rootogram``: Observed and expected frequencies of counts
- ``scoring``: Proper scoring rules of discrete outcomes: how well predictive distributions foretell what was seen
- ``simulate``: Outcomes drawn from the fitted model, for the rows fitted or for new ones
"""
