"""Long clusters of very different sizes in one bucket. Each takes as many lanes as its rows need, so that there is little padding.

A bucket of one padded width gives every cluster the room of its longest. Here a cluster of n rows takes ``ceil(n / w)`` neighbouring
lanes of a block, and what is added up over its rows is added up over its lanes too (``likelihood.rows.Lanes``).
"""

from __future__ import annotations

import numpy as np

__all__ = ["fill_blocks", "lane_cost"]

_WIDTHS = (
    16,
    24,
    32,
    48,
    64,
    96,
    128,
    192,
    256,
    512,
    1024,
    4096,
)  # rows of a lane; a short list, so that similar data share one
_BLOCK_ROWS = 2048  # rows of a block, or more where its longest cluster has more


def lane_cost(sizes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cost (k, k) of one bucket for the sizes ``i..j`` (increasing, ``counts`` of each), in padded cells, and its lane width (k, k).

    A sum over the L lanes of a block multiplies by an L x L matrix, about ``L / (20 w)`` of the cost of the rows themselves.
    """
    cost, width = np.full((len(sizes),) * 2, np.inf), np.zeros((len(sizes),) * 2, np.int64)
    for w in _WIDTHS:
        cells = np.concatenate([[0], np.cumsum(-(-sizes // w) * w * counts)])
        n_lanes = np.maximum(-(-sizes // w), _BLOCK_ROWS // w)
        new = np.triu(cells[None, 1:] - cells[:-1, None]) * (1.05 + n_lanes / (20.0 * w))
        new[np.tril_indices(len(sizes), -1)] = np.inf
        better = new < cost
        cost[better], width[better] = new[better], w
    return cost, width


def fill_blocks(lanes: np.ndarray, n_lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Block (k,) and first lane (k,) of clusters that take ``lanes`` (k,) lanes each, of the ``n_lanes`` of a block.

    Blocks are filled with the largest clusters left as long as they fit, then with the smallest: a loop over blocks.
    """
    order = np.argsort(-lanes, kind="stable")
    ends = np.concatenate([[0], np.cumsum(lanes[order])])
    block, first = np.empty(len(lanes), np.int64), np.empty(len(lanes), np.int64)
    left, right, n_blocks = 0, len(lanes), 0
    while left < right:
        large = min(int(np.searchsorted(ends, ends[left] + n_lanes, "right")) - 1, right)
        room = n_lanes - (ends[large] - ends[left])
        small = max(int(np.searchsorted(ends, ends[right] - room, "left")), large)
        taken = np.concatenate([order[left:large], order[small:right]])
        block[taken] = n_blocks
        first[taken] = np.cumsum(lanes[taken]) - lanes[taken]
        left, right, n_blocks = large, small, n_blocks + 1
    return block, first
