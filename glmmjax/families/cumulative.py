"""Ordered categories."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.links import Cloglog, Link, Logit, ProbabilityLink, Probit
from glmmjax.families.special import log_normal_between
from glmmjax.families.tails import held, log_cloglog, log_normal_cdf, softplus, tangent_exp
from glmmjax.values import shown

__all__ = ["Cumulative"]


@dataclasses.dataclass(frozen=True)
class Cumulative(Family):
    r"""Ordered levels 0, ..., K - 1 cut out of a latent scale by thresholds; a positive coefficient moves towards higher levels.

    .. math:: P(y \le k) = F(\theta_{k+1} - \eta), \quad \theta_1 < \dots < \theta_{K-1}

    Outcome: a factor, or its codes. Extra parameters: the K - 1 thresholds, named ``"1|2"``, ``"2|3"``, ...; on the free scale the first
    threshold, and then the logarithms of the distances between neighbours. The signs are those of R's ``ordinal::clmm``.

    Parameters
    ----------
    link : ``"logit"`` (default), ``"probit"``, ``"cloglog"`` (:math:`F(x) = 1 - \exp(-\exp x)`), or the link object: the inverse of F.
    n_levels : K. None, the default, is for ``mixed_model``, which counts the levels of the outcome.

    References
    ----------
    McCullagh (1980), Journal of the Royal Statistical Society B 42, 109-142.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Cumulative(n_levels=3)
    >>> f"{family.log_density(1.0, 0.5, jnp.array([-1.0, jnp.log(2.0)])):.4f}"  # level 1, thresholds -1 and 1
    '-0.8209'
    """

    name: ClassVar[str] = "cumulative"
    links: ClassVar[tuple[type[Link], ...]] = (Logit, Probit, Cloglog)
    is_ordinal: ClassVar[bool] = True
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "ordered levels: a pandas Categorical with ordered=True, or whole numbers 0, 1, ..., K - 1; "
        "try family='binomial' for two levels, and 'poisson' for unbounded counts"
    )

    link: ProbabilityLink
    n_levels: int | None = None

    def __init__(self, link: str | Link = "logit", n_levels: int | None = None):
        if n_levels is not None and (not isinstance(n_levels, int) or n_levels < 2):
            raise ArgumentError(
                f"n_levels={shown(n_levels)} must be a whole number of at least 2, or None to count the levels of the outcome."
            )
        super().__init__(link)
        object.__setattr__(self, "n_levels", n_levels)

    def with_levels(self, n_levels: int) -> Cumulative:
        return Cumulative(self.link, n_levels)

    @property
    def phi_names(self) -> tuple[str, ...]:  # type: ignore[override]  # a ClassVar where it depends on no field
        return tuple(f"{k}|{k + 1}" for k in range(1, self._known_levels()))

    def _known_levels(self) -> int:
        if self.n_levels is None:
            raise ArgumentError(
                "n_levels=None: the number of levels comes from the data, and mixed_model fills it in; "
                "elsewhere give it, such as Cumulative(n_levels=5), or by with_levels(5)."
            )
        return self.n_levels

    @property
    def is_log_concave(self) -> bool:
        return True

    def natural(self, phi: Array) -> Array:
        """(K - 1, ...) thresholds."""
        return jnp.cumsum(jnp.concatenate([phi[:1], _distances(phi)]), axis=0)

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        del deviation
        inner = self._known_levels() - 2
        return (-0.5 * inner, *(0.0 for _ in range(inner)))  # thresholds one unit apart, symmetric around 0

    def in_rows(self, y: Any, predictors: Array, phi: Array) -> tuple[Array, Array]:
        """Two predictors, whatever the number of levels: eta less the threshold below the level, and the log distance to the next one.

        The lowest level takes the threshold above it. The ends have no distance, and any number serves there.
        """
        eta, (threshold, log_distance) = predictors[0], _pick(y - 1.0, (self.natural(phi), _log_distances(phi)))
        return jnp.stack(jnp.broadcast_arrays(eta - threshold, log_distance)), phi[:0]

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        (over, log_distance), none = self.in_rows(y, jnp.asarray(eta)[None], phi)
        return self.log_kernel(y, over, none, log_distance) + self.log_base(y, none, log_distance)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        # differences of thresholds would lose digits
        (log_distance,), below = zero, -eta
        is_lowest, is_highest = y == 0, y == self._known_levels() - 1
        above = below + jnp.where(is_lowest | is_highest, 0.0, jnp.exp(log_distance))
        if isinstance(self.link, Probit):
            return _log_normal_between(below, above, log_distance, is_lowest, is_highest)
        if isinstance(self.link, Cloglog):
            # exp(-exp(b)) - exp(-exp(a)) = exp(-exp(b)) (1 - exp(-exp(a + log_share)))
            over, under = -tangent_exp(below), log_cloglog(above + self._log_share(is_lowest | is_highest, log_distance))
        else:
            # 1 / (1 + exp(-a)) - 1 / (1 + exp(-b)) = (1 - exp(b - a)) / ((1 + exp(-a)) (1 + exp(b)))
            over, under = -softplus(below), -softplus(-above)
        return jnp.where(is_lowest, 0.0, over) + jnp.where(is_highest, 0.0, under)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        if not isinstance(self.link, Logit):
            return super().log_base(y, phi)
        return self._log_share((y == 0) | (y == self._known_levels() - 1), others[0])

    def _log_share(self, is_end: Array, log_distance: Array) -> Array:
        """log(1 - exp(-distance)), 0 at the ends."""
        return jnp.where(is_end, 0.0, log_cloglog(log_distance))

    def probabilities(self, eta: Array, phi: Array) -> Array:
        """(K, ...) probability of every level given the linear predictor."""
        levels = jnp.arange(len(phi) + 1, dtype=eta.dtype).reshape(-1, *[1] * eta.ndim)
        return jnp.exp(self.log_density(levels, eta[None], phi[:, None]))

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        """The expected code, sum over k of k P(y = k); see ``probabilities`` for the levels."""
        return sum((self.link.probabilities(t - eta)[1] for t in self.natural(phi)), jnp.zeros_like(eta))

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        shares, mean = self.probabilities(eta, phi), self.mean(eta, phi)
        return sum((share * (k - mean) ** 2 for k, share in enumerate(shares)), jnp.zeros_like(eta))

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        u = jax.random.uniform(key, y.shape, y.dtype)
        return sum(((u > self.link.inverse(t - eta)).astype(y.dtype) for t in self.natural(phi)), jnp.zeros_like(y))

    def initial_eta(self, y: Any) -> Array:
        return y - 0.5 * (self._known_levels() - 1)  # the middle of the level, between the initial thresholds

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        return y == 0, y == self._known_levels() - 1

    def in_support(self, y: Any) -> Any:
        return (y >= 0) & (y == y.round()) & (y < (float("inf") if self.n_levels is None else self.n_levels))


def _log_distances(phi: Array) -> Array:
    # a larger distance gives one level all probability already, and sums of thresholds must not overflow
    return held(jnp.minimum(phi[1:], 50.0))


def _distances(phi: Array) -> Array:
    return jnp.exp(_log_distances(phi))


def _pick(index: Array, tables: tuple[Array, ...]) -> list[Array]:
    """``values[index]`` of each table, or the nearest value where the index is outside; 0 of an empty one.

    A sum over one value and zeros: a program as short for many values as for two, which costs less than a gather and its transpose.
    """
    picked = []
    for values in tables:
        shape = jnp.broadcast_shapes(jnp.shape(index), values.shape[1:])
        last = max(len(values) - 1, 0)
        places = jnp.arange(len(values), dtype=values.dtype).reshape(-1, *[1] * len(shape))
        values = values.reshape(len(values), *[1] * (len(shape) + 1 - values.ndim), *values.shape[1:])
        picked.append(jnp.where(jnp.clip(index, 0, last) == places, values, 0.0).sum(0))
    return picked


def _log_normal_between(below: Array, above: Array, log_distance: Array, is_lowest: Array, is_highest: Array) -> Array:
    """log(Phi(above) - Phi(below)) without ``below`` at the lowest level and ``above`` at the highest, taken in the lower tail."""
    mirrored = is_highest | ~(is_lowest | (below + above < 0.0))
    larger, smaller = jnp.where(mirrored, -below, above), jnp.where(mirrored, -above, below)
    is_end = is_lowest | is_highest
    between = log_normal_between(jnp.where(is_end, -1.0, smaller), jnp.where(is_end, 0.0, larger), jnp.where(is_end, 0.0, log_distance))
    return jnp.where(is_end, log_normal_cdf(larger), between)
