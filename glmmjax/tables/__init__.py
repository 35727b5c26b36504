"""Numbers of a fit as labelled tables, and as the text and HTML of summaries. No other folder formats numbers.

- ``summary``: the summary
- ``result_frame``: the DataFrame that the others make, with ``to_polars``
- ``frames``: estimates, D, fit statistics
- ``uncertainty``: covariances and intervals
- ``inference``: tests and comparisons
- ``pooling``: fits of imputed data sets as one
- ``prediction``: random effects, predictions
- ``population``: marginal coefficients, means, contrasts, effects
- ``checking``: simulations, residual tests, scores
- ``refitting``: influence and the bootstrap
- ``nonparametric``: a nonparametric law of a random effect
- ``resampling``: permutation tests, cross-validation, power
- ``many``: many fits of one model
- ``tidy``: tidy, glance, augment
- ``paper``: the terms of maketables
- ``page``: sections as text, HTML, LaTeX, Markdown
- ``export``: the three formats
- ``text``: numbers as text
"""
