"""Many fits of one model: the same numbers as of a single fit, for all of them at once.

- ``moderation``: extra parameters, shrunken by a prior over the fits
- ``covariances``: covariances of the estimates, parameters as they are reported, with standard errors
- ``wald_tests``: Wald tests of one hypothesis in every fit
- ``comparisons``: likelihood-ratio tests of two models, fit by fit
"""
