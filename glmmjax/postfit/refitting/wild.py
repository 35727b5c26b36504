r"""The wild bootstrap of scores: random multipliers on the scores of the clusters, and no refit.

With the weights ``w_i`` and scores ``s_i`` of the clusters and the inverse information V at the estimates, a draw is

.. math:: \hat\theta^* = \hat\theta + V \sum_i \xi_i w_i s_i, \quad E \xi_i = 0, \ E \xi_i^2 = 1

Given the data, its covariance is the sandwich CR0.

Source: Kline and Santos (2012), Journal of Econometric Methods 1, 23-41; Wu (1986), Annals of Statistics 14, 1261-1295.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.scores import cluster_scores, cluster_weights_of
from glmmjax.postfit.uncertainty.vcov import theta_covariance

__all__ = ["MULTIPLIERS", "wild_draws"]

MULTIPLIERS = {"rademacher": "1 or -1", "normal": "from N(0, 1)"}
_Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
_DRAWS: dict[str, _Draw] = {
    "rademacher": lambda rng, shape: np.where(rng.random(shape) < 0.5, -1.0, 1.0),
    "normal": lambda rng, shape: rng.standard_normal(shape),
}


def wild_draws(fitted: FittedModel, n: int, multipliers: str, seed: int) -> np.ndarray:
    """(n, P) draws, the diagonal of L non-negative; the first of them are the same for every ``n``.

    A direction without variance (at a singular D, at a limit of the family) does not move.
    """
    steps = (cluster_weights_of(fitted)[:, None] * cluster_scores(fitted)) @ np.nan_to_num(theta_covariance(fitted))
    drawn = _DRAWS[multipliers](np.random.default_rng(int(seed)), (n, len(steps)))
    # a matrix product would round a draw differently where there are more of them
    theta = fitted.theta + np.einsum("rm,mp->rp", drawn, steps)
    random, covariance = fitted.problem.layout.random, fitted.problem.layout.covariance
    theta[:, random] *= covariance.signs(theta[:, random])
    return theta
