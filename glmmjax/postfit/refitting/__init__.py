"""Methods that fit changed data many times: influence of clusters, the bootstrap. From the lowest up:

- ``exchange``: Random exchanges of the values of a covariate, between clusters or within
- ``wild``: The wild bootstrap of scores: random multipliers on the scores of the clusters, and no refit
- ``bootstrap``: The bootstrap: the model refitted to data simulated from it or to clusters drawn with replacement, or its scores
  multiplied at random
- ``influence``: How much each cluster moves the estimates: the fit without it, exactly or by one Newton step
- ``drawn_clusters``: Data sets of clusters drawn with replacement, with outcomes of their own
- ``refit_tests``: Wald statistics of many refits
- ``support_masses``: The masses of given points of support that maximise the likelihood of a mixture
- ``nonparametric_law``: The law of a random effect left free: nonparametric maximum likelihood
- ``bootstrap_limits``: Confidence limits from bootstrap draws: percentile, basic, and bias-corrected and accelerated (BCa)
"""
