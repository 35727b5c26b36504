"""The likelihood inside programs that train: a network, a spline or an embedding in the place of fixed effects.

- ``batches``: minibatches of whole clusters
- ``loss``: the negative log marginal likelihood of a batch
- ``network``: the caller's network: weights, inputs and output
- ``sharding``: a batch on several devices
- ``columns``: the output of a network as columns of an ordinary fit
- ``training``: steps and epochs of stochastic optimisation
- ``model``: ``NeuralMixedModel``, which trains and ends with a certified fit
- ``result``: what it gives
- ``files``, ``loading``: its files
"""
