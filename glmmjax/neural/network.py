"""The caller's network: its weights, inputs and output, checked where they come in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.values import shown

__all__ = ["checked_inputs", "checked_weights", "evaluated", "output_of"]

_EVALUATED = 65_536  # rows of inputs that are evaluated at a time, where no derivative is taken


def output_of(apply: Callable[..., Any], network: Any, inputs: Any, *key: Any) -> Array:
    """(k,) values or (k, d) features of the rows of ``inputs``.

    Raises
    ------
    ArgumentError
        For a network that fails, or gives another shape.
    """
    n = len(jax.tree.leaves(inputs)[0])
    try:
        given = apply(network, inputs, *key)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"apply fails with these weights and {n} rows of inputs: {type(error).__name__}: {error}. Try it alone, "
            "apply(init_params, inputs)."
        ) from error
    if not hasattr(given, "dtype"):
        raise ArgumentError(f"apply gives {shown(given)}; it must give an array with a value, or a row of features, for each of {n} rows.")
    found = jnp.asarray(given)
    if found.ndim not in (1, 2) or found.shape[0] != n or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ArgumentError(
            f"apply gives {found.dtype}{list(found.shape)} for {n} rows of inputs; it must give floating-point values of shape ({n},), "
            f"added to the linear predictor, or features ({n}, d), whose coefficients are estimated."
        )
    return found


def checked_weights(network: Any) -> Any:
    """The weights of a network as JAX arrays.

    Raises
    ------
    ArgumentError
        For weights that cannot be trained.
    """
    leaves, tree = jax.tree.flatten(network)
    for leaf in leaves:
        dtype = getattr(leaf, "dtype", np.asarray(leaf).dtype)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise ArgumentError(
                f"init_params have {shown(leaf)} of dtype {dtype}; weights must be arrays of floating-point numbers. Functions and whole "
                "numbers belong into apply: equinox.partition(model, equinox.is_inexact_array) takes them out."
            )
        if not np.isfinite(np.asarray(leaf, float)).all():
            raise ArgumentError("init_params have numbers that are not finite; a network is trained from finite weights.")
    return jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in leaves])


def checked_inputs(inputs: Any, n: int | None = None, argument: str = "inputs") -> Any:
    """The inputs of a network as NumPy arrays with ``n`` rows; None is any number of them.

    Raises
    ------
    ArgumentError
        For another number of rows, and numbers that are not finite.
    """
    leaves, tree = jax.tree.flatten(inputs)
    arrays = [np.asarray(leaf) for leaf in leaves]
    if not arrays or any(array.ndim == 0 for array in arrays):
        what = "no array" if not arrays else f"single values, such as {shown(leaves[0])}"
        raise ArgumentError(
            f"{argument} have {what}; pass an array, or a pytree of arrays, whose first axis is the rows: numpy.asarray(...) for a list."
        )
    n = len(arrays[0]) if n is None else n
    for array in arrays:
        if len(array) != n:
            raise ArgumentError(f"{argument} have an array of shape {array.shape}; its first axis must be the {n} rows of the data.")
        if array.dtype.kind not in "fiub":
            raise ArgumentError(f"{argument} have an array of dtype {array.dtype}; a network takes numbers.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).reshape(n, -1).all(axis=1))[0])
            raise ArgumentError(f"{argument} are not finite in row {row}; drop such rows from data and inputs, or fill them.")
    return jax.tree.unflatten(tree, arrays)


def evaluated(apply: Callable[..., Any], network: Any, inputs: Any) -> np.ndarray:
    """``output_of`` for many rows, a part at a time."""
    n = len(jax.tree.leaves(inputs)[0])
    firsts = range(0, max(n, 1), _EVALUATED)
    parts = [_output(apply, network, jax.tree.map(lambda leaf: leaf[first : first + _EVALUATED], inputs)) for first in firsts]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


@functools.partial(jax.jit, static_argnums=0)
def _output(apply: Callable[..., Any], network: Any, inputs: Any) -> Array:
    return output_of(apply, network, inputs)
