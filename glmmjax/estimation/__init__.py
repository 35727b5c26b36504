"""Maximising the marginal likelihood, and saying whether that has been done.

Folders: ``phases`` (which step to take), ``evaluators`` (where the likelihood is evaluated), ``xla`` (what is compiled, and how).

- ``ascent``: The ascent to a maximum: one function that drives the phases over any evaluator
- ``convergence``: What the end of a fit means: codes, their texts, and the certificate of a maximum
- ``fit``: A whole fit as one pure function
- ``glm``: The model without random effects, where the search for starting values begins
- ``linear_algebra``: Linear equations of the size of the parameter vector
- ``maximise``: A fit from Python: starting values, a sample where the data are large, the ascent
- ``maximum``: What a fit from Python is asked for and gives back, and how its end is judged
- ``objective``: What estimation maximises, as a function of the free vector theta
- ``penalty``: The Student's t penalty on fixed effects
- ``refits``: Fits of one model to many changed data sets
- ``settling``: How far a rule is from the integral, and the search for a rule that has settled
- ``starting_values``: Starting values from the data alone
"""
