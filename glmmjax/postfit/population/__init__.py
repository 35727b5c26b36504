"""Averages over the distribution of the random effects: marginal coefficients, means, contrasts, effects.

- ``contrasts``
- ``effects``: The numbers behind an effect plot: the model's means along chosen covariates, with pointwise intervals
- ``marginal_coefs``
- ``marginal_means``
"""
