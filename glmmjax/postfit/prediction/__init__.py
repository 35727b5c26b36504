"""Means, outcomes and random effects of clusters, and the rows that they belong to.

- ``discrete``: Probabilities of single values of a discrete outcome, from the family's log density
- ``jit_by_work``: Compiling for the amount of work: small predictions wait for the compiler, large ones for the program
- ``posterior_draws``: Draws of random effects from their distribution given outcomes
- ``predict``
- ``prediction_draws``
- ``prediction_intervals``
- ``quantities``
- ``random_effects``
- ``row_blocks``
- ``rows``: The rows of a fit, and rows of new data, as the arrays that predictions take
- ``subjects``
"""
