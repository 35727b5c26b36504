"""Checks whether the model fits the data: simulation, residuals, scores.

- ``calibration``: Predicted probabilities against observed shares
- ``continuous_scores``: The continuous ranked probability score of a continuous outcome, by quadrature
- ``marginal_scores``: Scores of rows of new clusters, by the marginal distribution of the outcome
- ``predictive_checks``: Empirical distribution of the outcomes beside those of data sets simulated from the model
- ``quantile_residuals``: Randomised quantile residuals, by simulation
- ``residual_bands``: Where ordered quantile residuals, and their quartiles in bins, lie under the model
- ``residual_tests``: Tests of quantile residuals: uniformity, dispersion, outliers, zeros
- ``residuals``: Residuals of the rows fitted: raw, Pearson and deviance residuals
- ``rootogram``: Observed and expected frequencies of counts
- ``scoring``: Proper scoring rules of predictive distributions of discrete outcomes
- ``simulate``: Outcomes drawn from the fitted model, for the rows fitted or for new ones
"""
