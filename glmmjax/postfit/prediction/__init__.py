"""Predictions of means, outcomes and random effects, and the rows and clusters that they belong to.

- ``discrete``: Probabilities of single values of a discrete outcome, from the family's log density
- ``dynamic_predictor``: An exported program of dynamic predictions, called with arrays
- ``dynamic_program``: Dynamic predictions as one program of arrays, and its export
- ``effects_density``: The density of a random effect by its law, and by the posteriors of the clusters
- ``jit_by_work``: Compilation by the amount of work: fast compiling for small predictions, fast programs for large ones
- ``node_draws``: Draws of one random effect given outcomes, from the nodes of a rule
- ``posterior_draws``: Draws of random effects from their distribution given outcomes
- ``predict``: Predictions of rows at the estimates
- ``prediction_draws``: Quantiles of new outcomes, from draws
- ``prediction_intervals``: Intervals of a mean or of a new outcome
- ``quantities``: The quantities that can be predicted, and the scales of their intervals
- ``random_effects``: Modes, means and covariances of the random effects of each cluster
- ``random_keys``: Keys of ``jax.random`` for many draws
- ``nested_effects``: Those of two levels, from the curvature at the joint mode
- ``crossed_effects``: Those of crossed factors
- ``law_moments``: whether means over the law of the random effects are finite
- ``row_blocks``: Rows to predict beside the blocks of clusters that inform them
- ``rows``: The rows of a fit, and rows of new data, as the arrays that predictions take
- ``subjects``: Rows to predict, their clusters, and the random effects of the clusters given outcomes
- ``targets``: What is predicted: rows, and clusters with outcomes
- ``targets_of_levels``: The same for nested and crossed factors, whose random effects are those that the fit knows
- ``t_proposals``: Candidates for random effects given outcomes, and their weights
"""
