"""Derivatives in continuous outcomes, at no cost to a program that takes none.

The rules of differentiation of the sums over rows and nodes, and of modes, hold outcomes fixed. Where an outcome has a tangent, a rule of
this file makes it a linear predictor, whose derivatives they have already; where it has none, nothing changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from glmmjax.families.live_outcomes import WithLiveOutcomes, continuous_columns
from glmmjax.likelihood.rows import Integrand, Predictors

__all__ = ["along_moved", "define_jvp", "is_moved", "with_zeros"]

_SymbolicZero = jax.custom_derivatives.SymbolicZero


def define_jvp(function: Any, without: Callable[[int, Any], Any] | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of the rule of ``function``, a ``jax.custom_jvp`` whose first array argument is an ``Integrand`` f.

    Parameters
    ----------
    without : takes a number E of predictors and a result, and leaves out the entries of the predictors after the first E; None for a
        result that has no entries by predictor.
    """

    def of_rule(rule: Callable[..., Any]) -> Callable[..., Any]:
        def with_outcomes(*arguments: Any) -> tuple[Any, Any]:
            *static, primals, tangents = arguments
            if not is_moved(tangents[0].observed.y):
                return rule(*static, primals, with_zeros(tangents))
            n = len(primals[0].x.eta)

            def of_live(f: Integrand, *others: Any) -> Any:
                found = function(*_with_static(function, static, (_live(f), *others)))
                return found if without is None else without(n, found)

            return along_moved(of_live, primals, tangents)

        function.defjvp(with_outcomes, symbolic_zeros=True)
        return rule

    return of_rule


def along_moved(function: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """``jax.jvp`` of ``function`` in the leaves that have a tangent; for rules with symbolic zeros."""
    leaves, tree = jax.tree.flatten(primals)
    changes = jax.tree.leaves(tangents, is_leaf=_is_zero)
    where = [k for k, change in enumerate(changes) if not _is_still(change)]

    def of_moved(*moved: Any) -> Any:
        filled = list(leaves)
        for k, leaf in zip(where, moved, strict=True):
            filled[k] = leaf
        return function(*jax.tree.unflatten(tree, filled))

    if not where:
        value = function(*primals)
        return value, jax.tree.map(jnp.zeros_like, value)
    return jax.jvp(of_moved, [leaves[k] for k in where], [changes[k] for k in where])


def _live(f: Integrand) -> Integrand:
    """f with its continuous outcomes as the last predictors."""
    columns = jax.tree.leaves(f.observed.y)
    moving = continuous_columns(f.family, len(columns))
    eta = jnp.concatenate([f.x.eta, jnp.stack([columns[k] for k in moving]).astype(f.x.eta.dtype)])
    zl = jnp.concatenate([f.x.zl, jnp.zeros((len(moving), *f.x.zl.shape[1:]), f.x.zl.dtype)])
    observed = f.observed._replace(y=jax.lax.stop_gradient(f.observed.y))
    return dataclasses.replace(f, family=WithLiveOutcomes(f.family, moving), x=Predictors(eta, zl, f.x.phi), observed=observed)


def _with_static(function: Any, static: list[Any], arrays: tuple[Any, ...]) -> list[Any]:
    """All arguments of a ``jax.custom_jvp``, from those that its rule takes first and the others."""
    arguments = list(arrays)
    for k, value in zip(function.nondiff_argnums, static, strict=True):
        arguments.insert(k, value)
    return arguments


def is_moved(tangents: Any) -> bool:
    """Whether any leaf of ``tangents``, those of a rule with symbolic zeros, is a change."""
    return any(not _is_still(leaf) for leaf in jax.tree.leaves(tangents, is_leaf=_is_zero))


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, _SymbolicZero)


def _is_still(leaf: Any) -> bool:
    return _is_zero(leaf) or leaf.dtype == jax.dtypes.float0


def with_zeros(tangents: Any) -> Any:
    """``tangents`` with numbers in the places of symbolic zeros."""
    return jax.tree.map(_dense, tangents, is_leaf=_is_zero)


def _dense(leaf: Any) -> Any:
    return jnp.zeros(leaf.shape, leaf.dtype) if _is_zero(leaf) and leaf.dtype != jax.dtypes.float0 else leaf
