"""Ordered categories, and proportions with both ends."""

from __future__ import annotations

import numpy as np
import scipy.special
import scipy.stats

from glmmjax.families.cumulative import Cumulative
from glmmjax.families.ordered_beta import OrderedBeta
from tests.families.cases.row import Row

__all__ = ["ROWS"]

DISTRIBUTION = {"logit": scipy.stats.logistic, "probit": scipy.stats.norm, "cloglog": scipy.stats.gumbel_l}


def _cumulative(link: str, phi: tuple[float, ...]) -> Row:
    n = len(phi) + 1
    levels = tuple(np.arange(float(n)))

    def reference(y, eta, thresholds):
        cut = np.r_[-np.inf, thresholds, np.inf]
        low, high, law = cut[y.astype(int)] - eta, cut[y.astype(int) + 1] - eta, DISTRIBUTION[link]
        return np.log(np.where(low < 0, law.cdf(high) - law.cdf(low), law.sf(low) - law.sf(high)))

    return Row(
        family=Cumulative(link, n_levels=n),
        reference=reference,
        y=levels,
        phi=phi,
        atoms=levels,
        bad=(-1.0, 0.5, float(n)),
        beta=(0.0, 0.8),
    )


def _ordered_beta(y, eta, natural):
    precision, first, second = natural
    low, high = scipy.special.expit(eta - first), scipy.special.expit(eta - second)
    mu = scipy.special.expit(eta)
    inside = np.log(low - high) + scipy.stats.beta.logpdf(np.clip(y, 1e-3, 1 - 1e-3), mu * precision, (1 - mu) * precision)
    return np.where(y == 0, np.log1p(-low), np.where(y == 1, np.log(high), inside))


ROWS = [
    *(_cumulative(link, (-1.2, 0.1, -0.4)) for link in DISTRIBUTION),
    _cumulative("probit", (0.4,)),
    Row(
        family=OrderedBeta(),
        reference=_ordered_beta,
        y=(0.0, 0.05, 0.3, 0.92, 1.0),
        phi=(1.9, -1.1, 0.9),
        atoms=(0.0, 1.0),
        interval=(0.0, 1.0),
        bad=(-0.1, 1.1),
    ),
]
