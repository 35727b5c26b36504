"""Zero-inflated binomial outcomes."""

from __future__ import annotations

from typing import ClassVar

from glmmjax.families.base import Family
from glmmjax.families.binomial import Binomial
from glmmjax.families.links import Link
from glmmjax.families.zero_inflated import ZeroInflated

__all__ = ["ZeroInflatedBinomial"]


class ZeroInflatedBinomial(ZeroInflated):
    r"""Successes ``s`` among ``n = s + f`` trials that are 0 with probability pi, and otherwise binomial with probability mu.

    .. math:: p(0) = \pi + (1 - \pi)(1 - \mu)^n, \qquad p(s) = (1 - \pi) \binom{n}{s} \mu^s (1 - \mu)^f

    Outcome: as for ``Binomial``. With single trials pi and mu are told apart by their covariates alone.

    Parameters
    ----------
    link : of mu, as for ``Binomial``; ``eta_zi`` is the logit of pi.

    References
    ----------
    Hall (2000), Biometrics 56, 1030-1039.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.ZeroInflatedBinomial()
    >>> f"{family.log_density((0.0, 5.0), 0.0, jnp.array([]), -1.0):.4f}"  # 0 of 5, mean 1/2, logit(pi) = -1
    '-1.2317'
    """

    name: ClassVar[str] = "zero_inflated_binomial"
    part_type: ClassVar[type[Family]] = Binomial
    links: ClassVar[tuple[type[Link], ...]] = Binomial.links
    outcome_columns: ClassVar[tuple[int, ...]] = Binomial.outcome_columns
    is_binary: ClassVar[bool] = Binomial.is_binary
    has_trials: ClassVar[bool] = True
    support: ClassVar[str] = Binomial.support
