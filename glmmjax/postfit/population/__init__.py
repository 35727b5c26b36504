"""Averages over the distribution of the random effects: marginal coefficients, means, contrasts, effects.

- ``contrast_weights``: Which means a contrast is made of, and the strata within which they are compared
- ``contrasts``: Differences, ratios and odds ratios of means, with tests and intervals
- ``effects``: The numbers behind an effect plot: means along chosen covariates, with pointwise intervals
- ``marginal_coefs``: Fixed effects on the population's scale
- ``marginal_means``: Means of rows and of groups of rows, with their derivatives in theta
- ``variance_shares``: The variances behind R2 and the intraclass correlation
"""
