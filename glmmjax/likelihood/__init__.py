"""The marginal likelihood as a pure function of arrays, and all that it is made of.

``clusters``: the data layout, with ``sharding`` over devices. ``params``, ``covariance``: the parameters. ``prior``: the law of the random
effects. ``model_rows``: linear predictors. ``rows``: the integrand of a block, on ``small_matrices``. ``modes``: its maximum.
``posterior``: mode and scale. ``rule``: what an integration rule is; ``gauss_hermite``: the one there is. ``node_sums``, ``adaptive``: the
integral of a block with its derivative. ``marginal``: the sum over blocks. ``conditional``: random effects given outcomes.
``population``: averages over their law.
"""
