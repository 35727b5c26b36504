"""The compiled programs of a batch: those of a small fit, for a chunk of fits at once.

What differs between the fits of a batch is a row of numbers each, and so is the state of a fit. All else is shared.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.family_limits import close_to_limits
from glmmjax.estimation.many.row_format import RowFormat
from glmmjax.estimation.objective import FitSettings, Integral
from glmmjax.estimation.phases.newton import NewtonState
from glmmjax.estimation.phases.phase import Phase, run_phase
from glmmjax.estimation.sequence import FIRST_ORDER, NEWTON
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_compile
from glmmjax.estimation.xla.program import as_program
from glmmjax.estimation.xla.programs import Given, begin_fit, given_theta, gives
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule

__all__ = ["VARYING", "BatchChunk", "BatchKind", "BatchPrograms", "Steps", "batch_kind", "batch_programs", "own_values", "with_own"]

VARYING = ("y", "X", "Z", "offset", "row_weight", "cluster_weight")  # the fields of a bucket that may differ between fits


@dataclasses.dataclass(frozen=True)
class BatchKind:
    """The static part of a batch; equal by value.

    Attributes
    ----------
    settings : what is maximised, and how
    varying : fields of the buckets that differ between fits
    data : rows of the values of these fields
    start : rows of ``Start``
    first_order : rows of ``FirstOrderState``
    newton : rows of ``NewtonState``
    """

    settings: FitSettings
    varying: tuple[str, ...]
    data: RowFormat
    start: RowFormat
    first_order: RowFormat
    newton: RowFormat

    def of_phase(self, phase: Phase) -> RowFormat:
        """Rows of the states of a phase."""
        return self.newton if phase is NEWTON else self.first_order


def own_values(varying: tuple[str, ...], buckets: tuple[Bucket, ...]) -> tuple[tuple[Any, ...], ...]:
    """The values of the fields that differ between fits, bucket by bucket."""
    return tuple(tuple(getattr(bucket, name) for name in varying) for bucket in buckets)


def with_own(varying: tuple[str, ...], shared: tuple[Bucket, ...], values: Any) -> tuple[Bucket, ...]:
    """The buckets of a fit: ``shared`` with its own ``values``."""
    return tuple(bucket._replace(**dict(zip(varying, own, strict=True))) for bucket, own in zip(shared, values, strict=True))


@functools.cache
def _kind(settings: FitSettings, varying: tuple[str, ...], tree: Any, leaves: tuple[Any, ...], dtype: str) -> BatchKind:
    buckets = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
    data = RowFormat.of(own_values(varying, buckets), dtype)
    start, state = jax.eval_shape(functools.partial(begin_fit, settings.problem), buckets, given_theta(settings.problem, None))
    newton = jax.eval_shape(functools.partial(FIRST_ORDER.follow, settings), start, state)
    return BatchKind(settings, varying, data, *(RowFormat.of(one, dtype) for one in (start, state, newton)))


def batch_kind(settings: FitSettings, varying: tuple[str, ...], buckets: tuple[Bucket, ...]) -> BatchKind:
    """The kind of a batch whose fits have buckets of the shapes of ``buckets``, those of one fit; under the precision in force."""
    leaves, tree = jax.tree.flatten(buckets)
    shapes = tuple((tuple(leaf.shape), np.dtype(jax.dtypes.canonicalize_dtype(leaf.dtype)).name) for leaf in leaves)
    return _kind(settings, varying, tree, shapes, np.dtype(jax.dtypes.canonicalize_dtype(np.float64)).name)


class BatchChunk(NamedTuple):
    """Fits that are stepped together.

    Attributes
    ----------
    shared : the buckets without the fields that differ between fits
    data : (n, .) rows of the values of these fields
    start : (n, .) rows of ``Start``
    """

    shared: tuple[Bucket, ...]
    data: Any
    start: Any


class Steps(NamedTuple):
    """How far a chunk goes in one call.

    Attributes
    ----------
    rule : of the evaluations
    most : () number of steps at most
    """

    rule: Rule
    most: Any


class BatchPrograms(NamedTuple):
    """Compiled functions, a row of their arguments for each fit; see the functions of this file.

    Attributes
    ----------
    begin : starting values and first states
    advance : steps of a phase
    """

    begin: Any
    advance: Any

    @gives(3)
    def traced(self, static: tuple[BatchKind, int], shared: tuple[Bucket, ...], rule: Rule) -> Iterator[Any]:
        """The three programs for chunks of so many fits, those that take longest to compile first."""
        kind, n = static
        chunk, steps = BatchChunk(shared, _rows(n, kind.data), _rows(n, kind.start)), Steps(rule, np.int32(1))
        yield self.advance.trace(NEWTON, kind, chunk, _rows(n, kind.newton), steps)
        yield self.advance.trace(FIRST_ORDER, kind, chunk, _rows(n, kind.first_order), steps)
        size = kind.settings.problem.layout.size
        theta, is_real = jax.ShapeDtypeStruct((n, size), kind.data.dtype), jax.ShapeDtypeStruct((n, size), bool)
        yield self.begin.trace(kind, shared, chunk.data, Given(theta, jax.ShapeDtypeStruct((n,), bool), is_real))


def batch_programs() -> BatchPrograms:
    """The programs on the platform in force."""
    return _programs(platform_in_force())


@functools.cache
def _programs(platform: str) -> BatchPrograms:
    options = functools.partial(quick_to_compile, platform)
    return BatchPrograms(as_program((0,), options)(_begin), as_program((0, 1), options)(_advance))


def _rows(n: int, form: RowFormat) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((n, form.size), form.dtype)


def _begin(kind: BatchKind, shared: tuple[Bucket, ...], data: Array, given: Given) -> tuple[Array, Array]:
    """(n, .) rows of starting values and of first states, for data in rows and ``given`` with a row a fit."""

    def one(row: Array, given: Given) -> tuple[Array, Array]:
        begun = begin_fit(kind.settings.problem, with_own(kind.varying, shared, kind.data.unpack(row)), given)
        return kind.start.pack(begun.start), kind.first_order.pack(begun.state)

    return jax.vmap(one)(data, given)


def _advance(phase: Phase, kind: BatchKind, chunk: BatchChunk, states: Array, steps: Steps) -> tuple[Array, Array, Array]:
    """(n, .) rows of states some steps on, (n, .) of what follows a phase that ends there, and (n,) whether it does.

    After the first phase that is a state of the second; after the second the code, and whether the fit is close to a limit of its family.
    """

    def one(data: Array, start: Array, row: Array) -> tuple[Array, Array, Array]:
        integral = Integral(with_own(kind.varying, chunk.shared, kind.data.unpack(data)), steps.rule)
        begun = kind.start.unpack(start)
        state, follows = run_phase(phase, kind.settings, begun, kind.of_phase(phase).unpack(row), integral, steps.most)
        after = kind.newton.pack(follows) if phase is FIRST_ORDER else _verdict(kind.settings, begun, state, follows)
        return kind.of_phase(phase).pack(state), after, state.is_done

    return jax.vmap(one)(chunk.data, chunk.start, states)


def _verdict(settings: FitSettings, start: Start, s: NewtonState, code: Array) -> Array:
    """(2,) the code, and whether the fit is close to a limit of its family."""
    is_close = close_to_limits(settings.problem, start, s.theta, s.at.gradient, s.hessian, settings.options.certificate)
    return jnp.stack([code.astype(s.theta.dtype), sum(is_close, jnp.array(False)).astype(s.theta.dtype)])
