"""Intervals, tests and comparisons.

- ``anova``: Comparison of two nested fits by the likelihood ratio, AIC and BIC
- ``confidence``: Confidence intervals: Wald, profile likelihood, bootstrap percentiles
- ``data_digests``: Whether two fits are of the same rows: by digests, which a streamed fit keeps in place of its rows
- ``information_criteria``: What the fit statistics count: parameters, rows, clusters; AIC and BIC
- ``profile``: Profile-likelihood limits of every parameter that is reported, both sides, in one compiled run
- ``score_test``: Rao's score test for fixed effects that the model does not have, without a refit
- ``vif``: Variance inflation factors of the terms of the fixed effects
- ``wald``: Wald tests of linear hypotheses
"""
