"""The marginal likelihood as a pure function of arrays, and all that it is made of.

The data and the model:

- ``clusters``: the data layout, and the only conversions between rows, clusters and blocks
- ``sharding``: blocks over devices
- ``levels``: nested and crossed factors, and the rules that integrate over them
- ``split_levels``: each of them as clusters of one level
- ``params``: the parameters, and the free vector theta
- ``structure``: what every covariance structure answers
- ``covariance``: the structures of D, and their names
- ``prior``: what a law of the random effects answers, and the normal one
- ``laws``: Student's t, and all others by name
- ``skew_normal``, ``normal_mixture``, ``custom_law``: three of them
- ``law_numbers``: constant and moments of a law that is known as a function only
- ``model_rows``: linear predictors

The integral of a block of clusters:

- ``small_matrices``: algebra of q x q matrices, written out
- ``rows``: the integrand
- ``row_derivatives``: its derivatives
- ``modes``: its maximum
- ``posterior``: its mode and scale
- ``rule``: what an integration rule is
- ``gauss_hermite``, ``trapezoid``, ``sinh_trapezoid``, ``wide_trapezoid``: the rules
- ``quadrature``: a rule by its method and number of points
- ``outcome_derivatives``: rules of differentiation that reach continuous outcomes
- ``node_sums``: sums over the nodes, with their derivatives
- ``adaptive``: the integral

Two levels of clusters:

- ``joint_modes``: modes of both levels together
- ``nested``: the integral of a block of them

Crossed factors, whose rows are one block:

- ``crossed_curvature``: the negative Hessian of the log joint in the random effects of all levels, and its inverse
- ``crossed_modes``: the mode of all random effects together
- ``crossed``: Laplace's approximation
- ``crossed_importance``: the integral by importance sampling

What uses it:

- ``cluster_sums``: what is added over clusters
- ``block_sums``: the sum over all blocks with its gradient; this file and the next are the only ones that batch over clusters
- ``marginal``: the same sum as public functions
- ``parameter_priors``, ``log_density``: prior densities of the parameters, and their posterior as a potential for samplers
- ``conditional``: random effects given outcomes
- ``population``: averages over the law of the random effects
"""
