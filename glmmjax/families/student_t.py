"""Real outcomes with heavy tails."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family, Limit
from glmmjax.families.gamma_functions import log_rising
from glmmjax.families.gaussian import Gaussian
from glmmjax.families.links import Identity, Link
from glmmjax.families.tails import beyond, held
from glmmjax.values import shown

__all__ = ["StudentT"]

_INITIAL_DF = 8.0


@dataclasses.dataclass(frozen=True)
class StudentT(Family):
    r"""Real outcomes around eta whose residual over ``scale`` s has Student's t distribution with ``df`` degrees of freedom :math:`\nu`.

    .. math:: \log p(y \mid \eta) = \log \frac{\Gamma((\nu + 1) / 2)}{\Gamma(\nu / 2) \sqrt{\nu \pi}\, s}
        - \tfrac{\nu + 1}{2} \log\bigl(1 + (y - \eta)^2 / (\nu s^2)\bigr)

    Outcome: any finite number. Extra parameters: ``scale``, and ``df`` where it is estimated; their logarithms on the free scale. The
    standard deviation is s sqrt(df / (df - 2)) for df > 2.

    Parameters
    ----------
    df : degrees of freedom > 0; None to estimate them.
    link : ``"identity"``, or the link object.

    References
    ----------
    Lange, Little and Taylor (1989), Journal of the American Statistical Association 84, 881-896.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.StudentT(df=3)
    >>> f"{family.log_density(1.5, 1.0, jnp.log(jnp.array([2.0]))):.4f}"  # scale 2
    '-1.7353'
    """

    name: ClassVar[str] = "student_t"
    links: ClassVar[tuple[type[Link], ...]] = (Identity,)
    support: ClassVar[str] = "finite numbers"

    df: float | None = 4.0

    def __init__(self, df: float | None = 4.0, link: str | Link = "identity"):
        if df is not None and not (isinstance(df, int | float) and 0 < df < math.inf):
            raise ArgumentError(
                f"df={shown(df)} of StudentT must be a positive number, or None to estimate it; family='gaussian' has infinite df."
            )
        object.__setattr__(self, "df", None if df is None else float(df))
        super().__init__(link)

    @property
    def phi_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("scale", "df") if self.df is None else ("scale",)

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return (None, Limit(1.0, math.inf, Gaussian(self.link), "no heavy tails"))[: len(self.phi_names)]

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_df, residual = self._log_df(phi, 0.3), y - eta
        log_precision = -(phi[0] + 0.5 * log_df)
        r = residual * jnp.exp(held(log_precision, 0.15))
        # the tail is a power: it goes on falling where the square of the residual overflows
        more = jnp.where(residual == 0.0, 0.0, 2.0 * beyond(log_precision, 0.15))
        return -0.5 * (jnp.exp(log_df) + 1.0) * (jnp.log1p(r * r) + more)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        log_df = self._log_df(phi, 0.2)
        # Gamma(a + 1/2) / Gamma(a) = a / {Gamma(a + 1) / Gamma(a + 1/2)}, which holds where a underflows
        log_ratio = 0.5 * log_df - log_rising(0.5 * jnp.exp(log_df) + 0.5, jnp.asarray(0.5, phi.dtype))
        return log_ratio - math.log(2.0) - 0.5 * math.log(math.pi) - phi[0]

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.where(self._df(phi) > 1.0, eta, jnp.nan)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        df = self._df(phi)
        factor = jnp.where(df > 2.0, df / jnp.where(df > 2.0, df - 2.0, 1.0), jnp.inf)
        return jnp.exp(2.0 * phi[0]) * factor + jnp.zeros_like(eta)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return eta + jnp.exp(phi[0]) * jax.random.t(key, self._df(phi), y.shape, y.dtype)

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        return (jnp.log(deviation), math.log(_INITIAL_DF))[: len(self.phi_names)]

    def initial_eta(self, y: Any) -> Array:
        return y

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y)

    def _log_df(self, phi: Array, share: float) -> Array:
        """Held where the distribution is normal to every digit."""
        if self.df is not None:
            return jnp.asarray(math.log(self.df), phi.dtype)
        return held(phi[1], share)

    def _df(self, phi: Array) -> Array:
        return jnp.exp(phi[1]) if self.df is None else jnp.asarray(self.df, phi.dtype)
