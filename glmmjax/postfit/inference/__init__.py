"""Intervals, tests and comparisons.

- ``anova``: Comparison of two nested fits by the likelihood ratio, AIC and BIC
- ``boundary_mixtures``: Reference distributions of likelihood ratios whose null hypothesis lies on the boundary of the parameter space
- ``confidence``: Confidence intervals: Wald, profile likelihood, bootstrap percentiles
- ``cross_validation``: Scores of held-out clusters, fold by fold, for one fit or several
- ``data_digests``: Digests of the data, which tell whether two fits are of the same rows
- ``information_criteria``: Numbers of parameters, rows and clusters; AIC and BIC
- ``model_comparison``: Any number of fits in one table, each tested against the one before it
- ``permutation_test``: A covariate tested by exchanges of its values, with a refit for each
- ``pooling``: Estimates of the same model in several imputed data sets, pooled by Rubin's rules
- ``power``: Power of a test by simulation, for several effects and numbers of clusters
- ``profile``: Profile-likelihood limits of all parameters, both sides, in one compiled run
- ``profile_search``: The search for one profile-likelihood limit, and the compiled run of all of them
- ``score_test``: Rao's score test for fixed effects that the model does not have, without a refit
- ``separation``: Why a fit has no maximum: separation, or else the estimates that run off
- ``separation_text``: A separation in words: where the outcome does not vary, which estimates run off and which way, and what to do
- ``simulated_null``: The likelihood-ratio test by its own null distribution: data simulated from the smaller model
- ``vif``: Variance inflation factors of the terms of the fixed effects
- ``wald``: Wald tests of linear hypotheses
"""
