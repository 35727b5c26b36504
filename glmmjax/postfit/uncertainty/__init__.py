"""The uncertainty of the estimates: covariances of the parameters, their standard errors and draws.

- ``adjustment``: P-values of many tests
- ``delta_method``: Covariances of functions of theta by the delta method
- ``link_intervals``: Wald intervals that are formed on the scale of a monotone link and transformed back
- ``multiple_comparisons``: P-values and interval widths of several comparisons together
- ``natural_phi``: The extra parameters of a family on their natural scale, with standard errors by the delta method
- ``p_values``: Tail probabilities of the reference distributions
- ``parameter_draws``: Draws from the normal distribution of the estimates
- ``parameters``: The parameters of a fit as they are reported, and the scales on which intervals for them are made
- ``random_covariance``: Standard deviations and correlations of the random effects, and the effects through which D lost rank
- ``sandwich``: Cluster-robust covariances CR0 to CR3
- ``scores``: Contribution of each cluster to the log-likelihood and its first two derivatives at the estimates
- ``vcov``: Covariance matrix and standard errors of the estimates, from the exact Hessian at the maximum
"""
