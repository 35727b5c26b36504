"""Keys of ``jax.random`` for many draws. They are handed to compiled programs as plain numbers, which can be kept on disk."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.xla.program import as_program

__all__ = ["key_data"]


def key_data(seed: int, before: Sequence[int], numbers: Sequence[int] | np.ndarray, after: Sequence[int] = ()) -> np.ndarray:
    """(n, k) data of one key for each of ``numbers`` (n,), for ``jax.random.wrap_key_data``; call it inside ``jax.enable_x64(True)``.

    ``before`` and ``after`` are folded into the seed's key before and after the number.
    """
    whole = [np.asarray(part, np.int64) for part in (seed, before, numbers, after)]
    return np.asarray(_key_data(*whole))


@as_program()
def _key_data(seed: Array, before: Array, numbers: Array, after: Array) -> Array:
    def folded(key: Array, number: Array) -> tuple[Array, None]:
        return jax.random.fold_in(key, number), None

    first, _ = jax.lax.scan(folded, jax.random.key(seed), before)
    one = lambda number: jax.lax.scan(folded, jax.random.fold_in(first, number), after)[0]  # noqa: E731
    return jax.random.key_data(jax.vmap(one)(jnp.atleast_1d(numbers)))
