r"""Cluster-robust ("sandwich") covariances CR0 to CR3, from the scores and information of the clusters. Arrays in, arrays out.

V is the inverse of the information H of all clusters (penalty included). Cluster i has the score s_i and the information H_i, both times
its weight, and the share A_i of the information:

.. math:: CR0 = V \Big(\sum_i s_i s_i'\Big) V, \quad CR1 = \frac{m}{m - 1} CR0, \quad
          CR2, CR3: s_i \to V^{-1/2} (I - A_i)^{-c} V^{1/2} s_i, \quad A_i = V^{1/2} H_i V^{1/2}, \quad c = \tfrac12, 1

CR0 is White (1982, Econometrica 50, 1-25) with the clusters of Liang and Zeger (1986, Biometrika 73, 13-22). It is too small with few
clusters, because the estimates follow the clusters that they are compared with. CR2 and CR3 are the corrections of Bell and McCaffrey
(2002, Survey Methodology 28, 169-181) and of Kauermann and Carroll (2001, JASA 96, 1387-1396) for linear models and estimating equations,
with the share of the information in place of the share of the projection (hat) matrix. CR3 takes one Newton step to the estimates
without each cluster, and is close to the jackknife.
"""

from __future__ import annotations

import numpy as np

from glmmjax.arguments import OneOf
from glmmjax.errors import ArgumentError

__all__ = ["KINDS", "ROBUST", "meat", "robust_kind"]

KINDS = ("CR0", "CR1", "CR2", "CR3")
ROBUST = OneOf({False: "inverse of the information", True: "as 'CR0'"}, *KINDS)  # the argument ``robust``
_POWERS = {"CR2": 0.5, "CR3": 1.0}
_NOTHING_LEFT = 1e-6  # share of the information that the other clusters must have in every direction


def robust_kind(robust: bool | str) -> str | None:
    """The kind of covariance that the argument ``robust`` stands for; None for the inverse of the information."""
    return robust if isinstance(robust, str) else "CR0" if robust else None


def meat(kind: str, scores: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """(k, k) sum of the squares of the clusters' scores, for coordinates in which the information of all clusters is the identity.

    Parameters
    ----------
    kind : one of ``KINDS``.
    scores : (m, k) ``K' s_i`` with ``V = K K'``.
    shares : (m, k, k) ``K' H_i K``, the clusters' shares of the information; needed by CR2 and CR3.

    Raises
    ------
    ArgumentError
        For CR1 with one cluster, and for CR2 and CR3 where a direction has no information without one of the clusters.
    """
    if kind in _POWERS:
        if shares is None:
            raise ValueError(f"{kind} needs the shares of the information")
        scores = _corrected(scores, shares, _POWERS[kind], kind)
    total = scores.T @ scores
    if kind != "CR1":
        return total
    n = len(scores)
    if n < 2:
        raise ArgumentError("robust='CR1' needs two clusters or more, and the fit has one; robust covariances compare clusters.")
    return total * (n / (n - 1.0))


def _corrected(scores: np.ndarray, shares: np.ndarray, power: float, kind: str) -> np.ndarray:
    """(m, k) ``(I - A_i)^-power s_i``."""
    values, vectors = np.linalg.eigh(np.eye(scores.shape[1]) - 0.5 * (shares + shares.swapaxes(1, 2)))
    inside = np.einsum("ikj,ik->ij", vectors, scores)
    # In a direction that only one cluster informs, the other scores are 0, so its own score is 0 at the maximum.
    alone = values < _NOTHING_LEFT
    if (alone & (np.abs(inside) > 1e-4)).any():
        row = int(np.flatnonzero((alone & (np.abs(inside) > 1e-4)).any(axis=1))[0])
        raise ArgumentError(
            f"robust={kind!r} compares each cluster with the others, and without cluster number {row} (counted from 0, in the order of "
            "the groups) these do not identify all parameters. Use robust='CR1', or a model with fewer parameters."
        )
    factor = np.where(alone, 0.0, np.where(alone, 1.0, values) ** -power)
    return np.einsum("ikj,ij->ik", vectors, factor * inside)
