"""The marginal likelihood as a pure function of arrays, and all that it is made of.

``clusters``: the data layout, with ``sharding`` over devices. ``params``, ``covariance``: the parameters. ``prior``: the law of the random
effects. ``model_rows``: linear predictors. ``rows``: the integrand of a block, on ``small_matrices``. ``modes``: its maximum.
``posterior``: mode and scale. ``rule``: what an integration rule is; ``gauss_hermite``, ``trapezoid``: the two there are; ``quadrature``:
a rule by its method and number of points. ``node_sums``, ``adaptive``: the integral of a block with its derivative. ``marginal``: the sum
over blocks. ``conditional``: random effects given outcomes. ``population``: averages over their law.
"""
