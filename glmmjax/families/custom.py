"""A family that a user writes: it needs the log density of one row and nothing else."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family, resolve_link
from glmmjax.families.links import Cauchit, Cloglog, Identity, Link, Log, Logit, ProbabilityLink, Probit, Sqrt
from glmmjax.values import shown

__all__ = ["Custom"]


@dataclasses.dataclass(frozen=True)
class Custom(Family):
    """A family given by its log density, differentiated by JAX like every other.

    Parameters
    ----------
    log_density : ``f(y, eta, phi)``, or ``f(y, eta, phi, eta_zi)`` for a family with a zero part: the log density of ONE row, as a
        number. ``y`` and ``eta`` are numbers (``y`` a tuple of them for ``cbind``), ``phi`` has ``n_phi`` entries without bounds: take
        ``exp`` of one that must be positive. It is traced by JAX: write it with ``jax.numpy`` and ``jnp.where``, not with ``if`` on
        values. For log Gamma take ``glmmjax.families.log_gamma`` and ``log_rising``, whose derivatives are several times faster than
        those of ``jax.scipy``.
    link : of the mean, where ``mean`` is not given: "identity" (default), "log", "logit", "probit", "cloglog", "cauchit", "sqrt".
    n_phi : number of extra parameters; they are reported as they are in ``phi``.
    mean : ``f(eta, phi)`` or ``f(eta, phi, eta_zi)``, the mean of one row; by default the inverse link of ``eta``.
    sample : ``f(key, y, eta, phi)`` or ``f(key, y, eta, phi, eta_zi)``, draws for arrays of rows in the form of ``y``.
    n_columns : outcome columns, 2 for ``cbind(a, b)``.
    log_base : ``f(y, phi)``, the terms of the log density that do not depend on ``eta``, such as log Gamma of ``y`` and ``phi``. They are
        added to ``log_density``, and evaluated once a row in the place of once for every quadrature node.
    is_log_concave : promise that the log density is concave in ``eta`` for every outcome, which saves work in the search for modes.

    Two families are equal when their functions are the same objects. Make the family once and keep it: a fit with another one compiles
    again.

    Raises
    ------
    ArgumentError
        For arguments of another kind. ``mixed_model`` raises it for a function that cannot be traced, that gives more than one number, or
        that is not finite at the start: phi = 0, and eta = 0 or the link of the outcome, whichever has the larger density.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> def log_density(y, eta, phi):  # exponential times with mean exp(eta)
    ...     return -eta - y * jnp.exp(-eta)
    >>> family = gj.families.Custom(log_density, link="log", is_log_concave=True)
    >>> f"{family.log_density(1.5, jnp.log(2.0), jnp.array([])):.4f}"
    '-1.4431'
    """

    name: ClassVar[str] = "custom"
    links: ClassVar[tuple[type[Link], ...]] = (Identity, Log, Logit, Probit, Cloglog, Cauchit, Sqrt)
    support: ClassVar[str] = "what log_density takes"

    density: Callable[..., Array]
    link: Link
    n_phi: int
    mean_of: Callable[..., Array] | None
    sample_of: Callable[..., Any] | None
    n_columns: int
    base_of: Callable[..., Array] | None
    concave: bool

    def __init__(
        self,
        log_density: Callable[..., Array],
        link: str | Link = "identity",
        *,
        n_phi: int = 0,
        mean: Callable[..., Array] | None = None,
        sample: Callable[..., Any] | None = None,
        n_columns: int = 1,
        log_base: Callable[..., Array] | None = None,
        is_log_concave: bool = False,
    ):
        if not callable(log_density):
            raise ArgumentError(f"Custom(log_density={shown(log_density)}) must be a function f(y, eta, phi), or f(y, eta, phi, eta_zi).")
        for given, function in (("mean", mean), ("sample", sample), ("log_base", log_base)):
            if function is not None and not callable(function):
                raise ArgumentError(f"Custom({given}={shown(function)}) must be a function, or None.")
        if isinstance(n_phi, bool) or not isinstance(n_phi, int) or n_phi < 0:
            raise ArgumentError(f"Custom(n_phi={shown(n_phi)}) must be a whole number >= 0, the length of phi.")
        if n_columns not in (1, 2, 3):
            raise ArgumentError(f"Custom(n_columns={shown(n_columns)}) must be 1, 2 or 3, the number of outcome columns.")
        n_arguments = _n_arguments(log_density)
        if n_arguments not in (3, 4):
            raise ArgumentError(f"Custom(log_density) takes {n_arguments} arguments, not (y, eta, phi) or (y, eta, phi, eta_zi).")
        fields = {"density": log_density, "link": resolve_link(link, self.links, self.name), "n_phi": n_phi, "n_columns": n_columns}
        known = {"has_zero_part": n_arguments == 4, "outcome_columns": (n_columns,), "phi_names": tuple(f"phi[{k}]" for k in range(n_phi))}
        others = {"mean_of": mean, "sample_of": sample, "base_of": log_base, "concave": bool(is_log_concave)}
        for name, value in {**fields, **others, **known}.items():
            object.__setattr__(self, name, value)

    @property
    def is_log_concave(self) -> bool:
        return self.concave

    @property
    def mean_scale(self) -> Link:
        return self.link if self.mean_of is None else Identity()

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return _by_row(self.density, (y, eta), phi, zero)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        if self.base_of is None:
            return super().log_base(y, phi)
        return _by_row(self.base_of, (y,), phi, ())

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta) if self.mean_of is None else _by_row(self.mean_of, (eta,), phi, zero)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        if self.sample_of is None:
            raise ArgumentError("this Custom family cannot be simulated from; give it Custom(..., sample=f(key, y, eta, phi)).")
        return self.sample_of(key, y, eta, phi, *zero)

    def natural(self, phi: Array) -> Array:
        return phi

    def initial_eta(self, y: Any) -> Array:
        """The link of a mean near the outcome, or 0 where the density is larger there: a link may be left unsaid."""
        mean = self.response(y)
        if isinstance(self.link, ProbabilityLink) and not isinstance(self.link, Log):
            # between 0 and 1 as it is, at a bound a quarter away from it
            mean = jnp.where((mean > 0) & (mean < 1), jnp.clip(mean, 0.005, 0.995), jnp.where(mean >= 1, 0.75, 0.25))
        elif not isinstance(self.link, Identity):
            mean = jnp.where(mean == 0, 0.1, jnp.abs(mean))
        near, zero = self.link.link(mean), jnp.zeros_like(mean)
        phi = jnp.zeros((self.n_phi, *(1,) * mean.ndim), mean.dtype)
        others = (self.initial_zero_eta(y),) * self.has_zero_part
        at_near, at_zero = (self.log_kernel(y, eta, phi, *others) for eta in (near, zero))
        return jnp.where(jnp.isfinite(at_near) & ~(at_zero >= at_near), near, zero)

    def in_support(self, y: Any) -> Any:
        columns = y if isinstance(y, tuple) else (y,)
        return np.all([np.isfinite(column) for column in columns], axis=0)

    def check(self, y: Any) -> None:
        phi, zero = jnp.zeros(self.n_phi), (jnp.zeros(()),) * self.has_zero_part
        one = jax.tree.map(lambda column: jnp.asarray(column[0]), y)
        try:
            shape = jax.eval_shape(self.density, one, jnp.zeros(()), phi, *zero)
            # JAX clamps an index beyond the end of phi, numpy does not
            self.density(one, jnp.zeros(()), np.zeros(self.n_phi), *zero)
            base = jax.eval_shape(self.base_of, one, phi) if self.base_of else shape
        except Exception as error:
            cause = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise ArgumentError(
                f"Custom(log_density), or its log_base, cannot be traced by JAX ({type(error).__name__}: {cause}). Use jax.numpy, "
                "for one row, with jnp.where in the place of if, and check n_phi, the length of phi."
            ) from None
        for given, result in (("log_density", shape), ("log_base", base)):
            if getattr(result, "shape", None) != ():
                found = getattr(result, "shape", type(result).__name__)
                raise ArgumentError(f"Custom({given}) gives {found} for one row, and must give one number.")
        eta, value = map(np.asarray, _at_first(self, y, phi))
        wrong = np.flatnonzero(~np.isfinite(value))
        if len(wrong):
            shown = ", ".join(f"{column[wrong[0]]:g}" for column in (y if isinstance(y, tuple) else (y,)))
            raise ArgumentError(
                f"Custom(log_density) gives {value[wrong[0]]} for the outcome {shown} at eta = {eta[wrong[0]]:g} and phi = 0, where the "
                f"search for starting values begins ({len(wrong)} such rows): it must be finite for every outcome in the data."
            )


def _n_arguments(function: Callable[..., Any]) -> int:
    """Positional arguments without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 3
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


@functools.partial(jax.jit, static_argnums=0)
def _at_first(family: Custom, y: Any, phi: Array) -> tuple[Array, Array]:
    """(n,) linear predictors at which the search for starting values begins, and the log density there."""
    y = jax.tree.map(lambda column: column.astype(float), y)
    eta, *zero = family.initial_predictors(y)
    return eta, family.log_density(y, eta, phi, *zero)


def _by_row(function: Callable[..., Array], rows: tuple[Any, ...], phi: Array, zero: tuple[Array, ...]) -> Array:
    """``function`` of every row; ``phi`` (n_phi, ...) is broadcast to the rows."""
    eta = jax.tree.leaves(rows[-1])[0]
    rows = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, jnp.shape(eta)), rows)
    zero = tuple(jnp.broadcast_to(leaf, jnp.shape(eta)) for leaf in zero)
    phi = jnp.asarray(phi)
    phi = jnp.broadcast_to(phi.reshape(len(phi), *(1,) * (jnp.ndim(eta) + 1 - phi.ndim), *phi.shape[1:]), (len(phi), *jnp.shape(eta)))
    for _ in range(jnp.ndim(eta)):
        function = jax.vmap(function, in_axes=(*(0,) * len(rows), 1, *(0,) * len(zero)))
    return function(*rows, phi, *zero)
