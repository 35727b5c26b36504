"""A tree of arrays as one row of numbers, so that fits are gathered into chunks and put back by one index each."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

__all__ = ["RowFormat"]


@dataclasses.dataclass(frozen=True)
class RowFormat:
    """Where the leaves of a tree stand in a row; static, hashable. Works on NumPy and JAX arrays, for one row (K,) or many (..., K).

    Attributes
    ----------
    tree : structure of the tree
    leaves : (shape, type) of each leaf
    dtype : type of the row; whole numbers and truth values are exact in it
    """

    tree: Any
    leaves: tuple[tuple[tuple[int, ...], str], ...]
    dtype: str

    @classmethod
    def of(cls, example: Any, dtype: Any) -> RowFormat:
        """The format of trees like ``example``, whose leaves have shapes and types."""
        leaves, tree = jax.tree.flatten(example)
        return cls(tree, tuple((tuple(leaf.shape), np.dtype(leaf.dtype).name) for leaf in leaves), np.dtype(dtype).name)

    @property
    def size(self) -> int:
        """Length of a row."""
        return sum(math.prod(shape) for shape, _ in self.leaves)

    def pack(self, tree: Any) -> Any:
        """(..., K) rows of trees whose leaves have the same axes in front."""
        leaves = jax.tree.leaves(tree)
        names: Any = jax.numpy if any(isinstance(leaf, jax.Array) for leaf in leaves) else np
        front = leaves[0].shape[: leaves[0].ndim - len(self.leaves[0][0])]
        return names.concatenate([leaf.reshape((*front, -1)).astype(self.dtype) for leaf in leaves], axis=-1)

    def unpack(self, row: Any) -> Any:
        """The trees of rows (..., K)."""
        leaves, first = [], 0
        for shape, dtype in self.leaves:
            stop = first + math.prod(shape)
            leaves.append(row[..., first:stop].reshape((*row.shape[:-1], *shape)).astype(dtype))
            first = stop
        return jax.tree.unflatten(self.tree, leaves)
