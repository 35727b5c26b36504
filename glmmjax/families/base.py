"""The contract of a family: the log density of ONE row as a function of its linear predictors, and what the outcome may be.

Everything else (scores, curvature, modes, exact gradients and Hessians of the marginal likelihood) comes from automatic
differentiation of ``log_density``. A family is a frozen dataclass, equal and hashable by value, so that it is a static
argument of compiled programs: a second fit with an equal family traces nothing.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.links import Identity, Link, Log
from glmmjax.values import shown

__all__ = ["Family", "Limit", "limits_of_part", "resolve_link"]

_SMALLEST = 1e-300


@dataclasses.dataclass(frozen=True)
class Limit:
    """Where an extra parameter runs off to infinity on its free scale and the family becomes a simpler one, which has no such parameter.

    Parameters
    ----------
    direction : 1.0 where that is at plus infinity, -1.0 at minus infinity.
    value : the parameter there, on its natural scale.
    family : the simpler family.
    finding : what the data lack when a fit ends there, such as ``"no overdispersion"``.
    """

    direction: float
    value: float
    family: Family
    finding: str

    @property
    def text(self) -> str:
        """One sentence for people."""
        return f"{self.finding}: the model with family={self.family.plain.name!r} fits as well"


@dataclasses.dataclass(frozen=True)
class Family(abc.ABC):
    """Conditional distribution of one outcome row given its linear predictor.

    Every other layer asks these traits, and never which family it has. A family with fields of its own is a frozen dataclass again, whose
    ``__init__`` calls this one.

    Parameters
    ----------
    link : one of ``links``, by its text or as an object; the first of them when not given.

    Class attributes
    ----------------
    name : the text that selects the family, such as ``"binomial"``.
    links : links allowed, the default first.
    phi_names : names of the extra parameters on their natural scale; their number is the length of ``phi``. A property where it depends
        on a field.
    outcome_columns : numbers of outcome columns accepted; 2 means ``cbind(a, b)``.
    is_binary : the outcome may be boolean, or text with two levels (the second is success).
    is_ordinal : the outcome is a factor whose levels in order are 0, 1, ...; ``phi`` holds the thresholds, which stand for the intercept,
        and the family has ``probabilities`` and ``with_levels``.
    is_discrete : every outcome (the first column of several) is a whole number.
    lowest : the smallest outcome of a discrete family.
    is_censored : in an outcome of several columns, the later ones say which values were censored; see ``limits``.
    has_trials : an outcome of two columns counts successes and failures, and ``mean`` is that of the share of successes.
    has_zero_part : the density has a second predictor ``eta_zi``, the logit of the probability of a zero; it comes after ``phi`` in
        ``log_density``, ``mean`` and ``sample``.
    has_dispersion : the last predictor is the one extra parameter on its free scale, which then has no entry in ``phi``.
    has_deviance : the density of an outcome is largest where the mean equals the outcome, whatever ``phi``; see ``deviance``.
    support : the outcomes allowed, in words, and the families to try for others; it ends the text of an ``OutcomeError``.
    """

    name: ClassVar[str]
    links: ClassVar[tuple[type[Link], ...]]
    phi_names: ClassVar[tuple[str, ...]] = ()
    outcome_columns: ClassVar[tuple[int, ...]] = (1,)
    is_binary: ClassVar[bool] = False
    is_ordinal: ClassVar[bool] = False
    is_discrete: ClassVar[bool] = False
    lowest: ClassVar[float] = 0.0
    is_censored: ClassVar[bool] = False
    has_trials: ClassVar[bool] = False
    has_zero_part: ClassVar[bool] = False
    has_dispersion: ClassVar[bool] = False
    has_deviance: ClassVar[bool] = False
    support: ClassVar[str]

    link: Link

    def __init__(self, link: str | Link | None = None):
        object.__setattr__(self, "link", resolve_link(link, self.links, self.name))

    @property
    def is_log_concave(self) -> bool:
        """Whether ``log_density`` is concave in eta for every outcome, which makes the conditional mode unique."""
        return False

    @property
    def plain(self) -> Family:
        """The family with constant extra parameters: this one, or the one inside ``WithDispersion``."""
        return self

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        """For each entry of ``phi`` the limit at which it is not needed, None where it has none."""
        return (None,) * len(self.phi_names)

    @property
    def predictor_limits(self) -> tuple[Limit | None, ...]:
        """The same for each linear predictor after ``eta``, when it has its limit in every row."""
        return (None,) * (self.has_zero_part + self.has_dispersion)

    @property
    def mean_link(self) -> Link:
        """The link between the mean of the outcome and the predictor."""
        return self.link

    @property
    def mean_scale(self) -> Link:
        """The link that maps the range of the mean to the whole line; the identity where that range is not known."""
        return self.mean_link

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        """Log density of one row, constants included.

        A family defines this function, or its two summands ``log_kernel`` and ``log_base``.

        Parameters
        ----------
        y : the outcome; an array, or a pair of arrays for a two-column outcome.
        eta : linear predictor, fixed plus random part plus offset.
        phi : (n_phi, ...) extra parameters on their free scale.
        zero : ``(eta_zi,)`` for a family with a zero part, else nothing.
        """
        return self.log_kernel(y, eta, phi, *zero) + self.log_base(y, phi)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        """The part of ``log_density`` that depends on a linear predictor, and is evaluated at every quadrature node."""
        return self.log_density(y, eta, phi, *zero)

    def in_rows(self, y: Any, predictors: Array, phi: Array) -> tuple[Array, Array]:
        """The predictors and extra parameters that ``log_kernel`` and ``log_base`` take: as they are, unless the family says otherwise.

        A family with many extra parameters, of which a row sees few, makes predictors of these: the work at every node then does not grow
        with the others.

        Parameters
        ----------
        y : the outcome.
        predictors : (E, ...), without random effects; these come on top of the first predictors.
        phi : (n_phi, ...)
        """
        del y
        return predictors, phi

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        """The part of ``log_density`` that depends on no random effect, and is evaluated once a row.

        ``others`` are the predictors after ``eta``, without random effects; only a predictor that can have none may be used.
        """
        del y, others
        return jnp.zeros((), phi.dtype)

    @abc.abstractmethod
    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        """Conditional mean of ``response(y)`` given the linear predictors; NaN where there is none."""

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        """Conditional variance of ``response(y)`` given the linear predictors; infinite where there is none.

        Parameters
        ----------
        y : outcomes as they were seen, which give the number of trials of a proportion.

        Raises
        ------
        ArgumentError
            For a family without one: where the outcome may be censored, or the variance is not known in closed form.
        """
        raise ArgumentError(
            f"the {self.name} family has no variance in closed form, which Pearson residuals divide by; take raw residuals, "
            "resid(kind='raw'), or quantile residuals."
        )

    def response(self, y: Any) -> Any:
        """The numbers whose mean ``mean`` gives: the outcome, its first column, or the share of successes."""
        if not isinstance(y, tuple):
            return y
        return y[0] / (y[0] + y[1]) if self.has_trials else y[0]

    def deviance(self, y: Any, mean: Array, phi: Array, *others: Array) -> Array:
        r"""Deviance of every row, for a family that ``has_deviance``.

        .. math:: 2 \{\log p(y \mid \mu = y) - \log p(y \mid \mu)\}

        Parameters
        ----------
        mean : conditional means mu of ``response(y)``.
        others : the predictors after ``eta``.
        """
        best, now = (self.log_density(y, self.link.link(value), phi, *others) for value in (self._inside(self.response(y)), mean))
        return 2.0 * jnp.maximum(best - now, 0.0)

    def _inside(self, means: Array) -> Array:
        """Means, with numbers next to 0 and 1 in the place of 0 and 1, where the log density has only a limit."""
        if isinstance(self.link, Identity):
            return means
        means = jnp.maximum(means, _SMALLEST)
        return jnp.minimum(means, 1.0 - float(jnp.finfo(means.dtype).epsneg)) if self.is_binary else means

    def limits(self, y: Any) -> tuple[Any, Any]:
        """The smallest and the largest value that each outcome ``y``, numpy, can have had: the same unless it was censored."""
        value = y[0] if isinstance(y, tuple) else y
        return value, value

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        """Two arrays of bool: whether the density of each outcome ``y``, numpy, rises for ever as eta falls, and as eta rises.

        A censored outcome does so where it has no limit, and the smallest count where eta is the logarithm of a mean. Both are true of an
        outcome that tells nothing of eta.
        """
        lowest, highest = self.limits(y)
        is_least = lowest == self.lowest if self.is_discrete and isinstance(self.link, Log) else np.zeros(np.shape(lowest), bool)
        return (lowest == -np.inf) | is_least, highest == np.inf

    def probabilities(self, eta: Array, phi: Array) -> Array:
        """(K, ...) probability of every level of an ordinal outcome given the linear predictor."""
        raise NotImplementedError(f"{type(self).__name__} has no probabilities()")

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        """A draw from the conditional distribution of every row, in the form and shape of ``y``.

        Parameters
        ----------
        key : of ``jax.random``.
        y : outcomes as they were seen: they give the shape, the dtype and, for a proportion, the number of trials.
        """
        raise NotImplementedError(f"{type(self).__name__} has no sample()")

    def natural(self, phi: Array) -> Array:
        """(n_phi, ...) extra parameters on their natural scale, in the order of ``phi_names``: exp unless the family says otherwise."""
        return jnp.exp(phi)

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        """(n_phi,) values on the free scale from which a search can start.

        Parameters
        ----------
        deviation : standard deviation of ``response(y)`` over all rows, for a scale in the unit of the outcome.
        """
        del deviation
        return (0.0,) * len(self.phi_names)

    def initial_eta(self, y: Any) -> Array:
        """A finite linear predictor close to each outcome, from which iterations on the fixed effects can start."""
        return jnp.zeros_like(y)

    def initial_zero_eta(self, y: Any) -> Array:
        """A finite linear predictor of the zero part: a zero is likely where the outcome is 0."""
        first = y[0] if isinstance(y, tuple) else y
        return jnp.where(first == 0, 1.0, -1.0).astype(jnp.result_type(first))

    def check(self, y: Any) -> None:
        """Refuse a family that cannot be evaluated on the outcomes ``y`` (n,), numpy; for densities that a user wrote.

        Raises
        ------
        ArgumentError
        """
        del y

    def with_levels(self, n_levels: int) -> Family:
        """The family of an ordinal outcome with this many levels."""
        del n_levels
        return self

    def initial_predictors(self, y: Any) -> tuple[Array, ...]:
        """Initial values of every linear predictor that ``log_density`` takes."""
        return (self.initial_eta(y), self.initial_zero_eta(y)) if self.has_zero_part else (self.initial_eta(y),)

    @abc.abstractmethod
    def in_support(self, y: Any) -> Any:
        """Boolean numpy array, True for each row of ``y`` (numpy array, or pair of them) that the family can have produced."""


def limits_of_part(part: Family, kinds: tuple[type[Family], ...]) -> tuple[Limit | None, ...]:
    """The limits of the extra parameters of ``part`` in a family built on it, which is one of ``kinds`` there, in their order."""
    following = iter(kinds)
    return tuple(limit and dataclasses.replace(limit, family=next(following)(part.link)) for limit in part.phi_limits)


def resolve_link(link: str | Link | None, allowed: tuple[type[Link], ...], family: str) -> Link:
    """The link object meant by ``link`` (its text, itself, or None for the first one allowed).

    Raises
    ------
    ArgumentError
        When the link is not one of those ``allowed`` for the family.
    """
    if link is None:
        return allowed[0]()
    for choice in allowed:
        if isinstance(link, choice) or link == choice().name:
            return choice()
    names = ", ".join(repr(choice().name) for choice in allowed)
    raise ArgumentError(f"link={shown(link)} is not a link of the {family} family; choose one of {names}.")
