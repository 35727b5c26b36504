"""The marginal likelihood as a pure function of arrays, and all that it is made of.

``clusters`` the data layout, ``params`` and ``covariance`` the parameters, ``rows`` the integrand, ``modes`` its maximum,
``gauss_hermite`` the rules, ``adaptive`` one block's integral with its derivative, ``marginal`` the sum over blocks.
"""
