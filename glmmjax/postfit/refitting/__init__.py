"""Methods that fit changed data many times: influence of clusters, the bootstrap.

- ``bootstrap``: The bootstrap: the model refitted to data simulated from it, or to clusters drawn with replacement
- ``influence``: How much each cluster moves the estimates: the fit without it, exactly or by one Newton step
"""
