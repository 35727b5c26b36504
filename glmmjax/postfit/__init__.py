"""Computations that follow a fit, in folders by subject. Functions take a ``FittedModel`` and return plain numbers.

From the lowest up; each imports only those before it:

- ``uncertainty/``: how sure the estimates are: covariances, standard errors, draws of the parameters
- ``prediction/``: means, outcomes and random effects of clusters
- ``checking/``: whether the model fits the data: simulation, residuals, scores
- ``refitting/``: what needs many fits: influence, the bootstrap
- ``inference/``: intervals, tests, comparisons
- ``population/``: averages over the law of the random effects: marginal coefficients, means, contrasts, effects
- ``many/``: many fits of one model, all at once
"""
