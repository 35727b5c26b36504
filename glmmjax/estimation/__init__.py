"""Maximising the marginal likelihood, and saying whether that has been done.

From the lowest up; each imports only those before it:

- ``linear_algebra``: linear equations of the size of the parameter vector
- ``penalty``: the Student's t penalty on fixed effects
- ``objective``: what estimation maximises, as a function of the free vector theta
- ``padding``: columns padded up to classes of sizes, so that other terms compile nothing
- ``glm``: the model without random effects, where the search for starting values begins
- ``levels``: each of several grouping factors as a model of its own
- ``working_model``: D from the residuals of the model without random effects
- ``starting_values``: starting values from the data alone
- ``phases/``: which step to take: EM, quasi-Newton, Newton
- ``family_limits``: a maximum where an extra parameter runs off and the family becomes a simpler one
- ``separation``: data along some direction of which the likelihood rises for ever
- ``convergence``: what the end of a fit means: codes, their texts, and the certificate of a maximum
- ``sequence``: the phases of an ascent, in their order
- ``xla/``: what is compiled, and how
- ``search_columns``: the columns in which a fit searches, and the way back to the estimates
- ``search_space``: both changes of the columns: those of the search, padded
- ``evaluators/``: where the likelihood is evaluated: one program, cores, a mesh, files on disk
- ``ascent``: the ascent to a maximum: one function that drives the phases over any evaluator
- ``judgement``: how far the rule of an ascent is from the integral, where the ascent has ended
- ``maximum``: what a fit from Python is asked for and gives back, and how its end is judged
- ``second_starts``: other places from which a fit is begun once more, where the end of its ascent gives reason to doubt it
- ``settling``: the search for a rule that has settled, and for a higher maximum
- ``crossed``: the error of Laplace's method for crossed factors, and the maximum without it
- ``maximise``: a fit from Python: starting values, a sample where the data are large, the ascent
- ``factors``: The factor of D at an estimate, with the derivative of D there, as one program
- ``fit``: a whole fit as one pure function
- ``batch``: many ascents at once, under ``vmap``
- ``many/``: many fits, stepped together in chunks
- ``refits``: fits of one model to many changed data sets
"""
