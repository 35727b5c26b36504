"""Zero-inflated beta-binomial outcomes."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.beta_binomial import BetaBinomial
from glmmjax.families.links import Link
from glmmjax.families.zero_inflated import ZeroInflated
from glmmjax.families.zero_inflated_binomial import ZeroInflatedBinomial

__all__ = ["ZeroInflatedBetaBinomial"]


class ZeroInflatedBetaBinomial(ZeroInflated):
    r"""Successes ``s`` among ``n`` trials that are 0 with probability pi, and otherwise beta-binomial: mean mu, precision :math:`\kappa`.

    .. math:: p(0) = \pi + (1 - \pi) f(0), \qquad p(s) = (1 - \pi) f(s), \qquad
        f(s) = \binom{n}{s} \frac{B(s + \mu\kappa, \, n - s + (1 - \mu)\kappa)}{B(\mu\kappa, \, (1 - \mu)\kappa)}

    Outcome: ``cbind(successes, failures)``. Extra parameter: ``precision``, its logarithm on the free scale.

    Parameters
    ----------
    link : of mu, as for ``BetaBinomial``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Hall (2000), Biometrics 56, 1030-1039, with the beta-binomial in the place of the binomial.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.ZeroInflatedBetaBinomial()
    >>> f"{family.log_density((3.0, 5.0), 0.0, jnp.log(jnp.array([4.0])), -1.0):.4f}"  # mean 1/2, precision 4
    '-2.2412'
    """

    name: ClassVar[str] = "zero_inflated_beta_binomial"
    part_type: ClassVar[type[Family]] = BetaBinomial
    kinds_at_limits: ClassVar[tuple[type[Family], ...]] = (ZeroInflatedBinomial,)
    links: ClassVar[tuple[type[Link], ...]] = BetaBinomial.links
    phi_names: ClassVar[tuple[str, ...]] = BetaBinomial.phi_names
    outcome_columns: ClassVar[tuple[int, ...]] = BetaBinomial.outcome_columns
    has_trials: ClassVar[bool] = True
    support: ClassVar[str] = BetaBinomial.support

    def _log_of_part(self, y: Any, eta: Array, phi: Array) -> Array:
        return self.part.log_kernel(y, eta, phi) + jnp.where(y[0] == 0, self.part.log_base(y, phi), 0.0)
