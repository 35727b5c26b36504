"""How sure the estimates are: covariances of the parameters, and what is derived from them.

- ``delta_method``
- ``link_intervals``: Wald intervals that are formed on the scale of a monotone link and transformed back
- ``natural_phi``: The extra parameters of a family on their natural scale, with standard errors by the delta method
- ``p_values``: Tail probabilities of the reference distributions, in closed form: scipy is no dependency
- ``parameters``: The parameters of a fit as they are reported, and the scales on which intervals for them are made
- ``random_covariance``
- ``sandwich``
- ``scores``: What each cluster contributes to the log-likelihood and its first two derivatives at the estimates
- ``vcov``: Covariance matrix and standard errors of the estimates, from the exact Hessian at the maximum
"""
