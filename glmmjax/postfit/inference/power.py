r"""Power of a test by simulation: outcomes drawn from the model with other coefficients, tested in each data set.

With x rejections in n data sets the band is Wilson's,

.. math:: \frac{\hat p + z^2 / 2n \pm z \sqrt{\hat p (1 - \hat p) / n + z^2 / 4n^2}}{1 + z^2 / n}

Source: Green and MacLeod (2016), Methods in Ecology and Evolution 7, 493-498, for power of mixed models by simulation; Wilson (1927), JASA
22, 209-212.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from glmmjax.design.levels import check_one_level
from glmmjax.errors import ArgumentError
from glmmjax.estimation.family_limits import away_from_limits
from glmmjax.estimation.refits import Origin, Refits, refit_all, with_data_sets
from glmmjax.fitted import FittedModel, check_rows_count_once
from glmmjax.likelihood.clusters import Bucket
from glmmjax.postfit.inference.anova import check_unpenalised
from glmmjax.postfit.refitting.bootstrap import check_is_maximum
from glmmjax.postfit.refitting.drawn_clusters import DrawnClusters
from glmmjax.postfit.refitting.refit_tests import wald_statistics
from glmmjax.postfit.uncertainty.p_values import chi_square_tail
from glmmjax.values import NOT_NUMBERS, check_size, shown

__all__ = ["TESTS", "Power", "PowerSettings", "power", "wilson_band"]

TESTS = {"wald": "of the coefficients", "likelihood_ratio": "against the model without the coefficients"}
_REACH = 1.959963984540054  # of a 95 % band
_SMALLER = 4  # times fewer clusters from which on a size has a shape, and so programs, of its own
_MOST_EFFECTS = 10_000


@dataclasses.dataclass(frozen=True)
class PowerSettings:
    """How power is simulated; the fields are the arguments of ``power``."""

    n_sim: int = 500
    alpha: float = 0.05
    test: str = "wald"
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Power:
    """Tests of simulated data sets, for S numbers of clusters and V values of k coefficients.

    Attributes
    ----------
    names : (k,) of the coefficients
    effects : (V, k) their values
    sizes : (S,) numbers of clusters
    p_values : (S, V, n) of every data set; NaN where a model has no certified maximum
    settings : how they were simulated
    unit : what a size counts, "clusters" or "rows"
    """

    names: tuple[str, ...]
    effects: np.ndarray
    sizes: tuple[int, ...]
    p_values: np.ndarray
    settings: PowerSettings
    unit: str

    @property
    def n_known(self) -> np.ndarray:
        """(S, V) data sets with a test."""
        return np.isfinite(self.p_values).sum(axis=2)

    @property
    def power(self) -> np.ndarray:
        """(S, V) share of the tested data sets in which the null hypothesis is rejected; NaN where none has a test."""
        rejected = (self.p_values <= self.settings.alpha).sum(axis=2)
        return np.where(self.n_known > 0, rejected / np.maximum(self.n_known, 1), np.nan)

    @property
    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """(S, V) ends of 95 % Monte Carlo bands of the power."""
        return wilson_band(self.power, self.n_known)


def wilson_band(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's 95 % interval of a probability that is estimated by a share of ``n``; NaN where that is NaN."""
    n = np.maximum(n, 1)
    z2 = _REACH**2 / n
    half = _REACH * np.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n))
    middle = share + 0.5 * z2
    return np.maximum((middle - half) / (1.0 + z2), 0.0), np.minimum((middle + half) / (1.0 + z2), 1.0)


def power(fitted: FittedModel, effects: Any, sizes: Any, settings: PowerSettings) -> Power:
    """Simulate the power; see ``glmmjax.power``, which documents the arguments.

    Raises
    ------
    ArgumentError
        For a fit that is no certified maximum, a penalised one with the likelihood ratio, names or values of coefficients and numbers of
        clusters that cannot be, and a family that cannot be simulated from.
    RowsNotKeptError
        For a streamed fit.
    """
    check_one_level(fitted.design, "power")
    check_rows_count_once(fitted, "power")
    check_is_maximum(fitted, "power")
    if settings.test == "likelihood_ratio":
        check_unpenalised("fit", fitted)
    names, values = _effects(fitted, effects)
    m = len(fitted.design.groups)
    numbers = _sizes(sizes, m)
    _ = fitted.design.clusters  # raises the error of a stream
    size = fitted.problem.layout.size
    check_size(f"n_sim={settings.n_sim:,}", (len(numbers), len(values), settings.n_sim, size * size), "a few hundred data sets are enough")
    tested = np.array([fitted.design.fixed_names.index(name) for name in names])
    found = np.empty((len(numbers), len(values), settings.n_sim))
    with jax.enable_x64(True):
        for k, most in enumerate(_shapes(numbers)):
            check_size(f"sizes: {most:,} clusters", (most, int(fitted.design.cluster_sizes.max()), 64), "take fewer clusters")
            draws = DrawnClusters(fitted, most, settings.seed)
            for v, value in enumerate(values):
                theta = np.array(fitted.theta)
                theta[tested] = value
                found[k, v] = _p_values(fitted, draws, theta, numbers[k], tested, settings)
    unit = "clusters" if fitted.design.group_name is not None else "rows"
    return Power(names, values, numbers, found, settings, unit)


def _p_values(
    fitted: FittedModel, draws: DrawnClusters, theta: np.ndarray, size: int, tested: np.ndarray, settings: PowerSettings
) -> np.ndarray:
    """(n,) p-values of the data sets of one size, from the model at ``theta``."""
    data_set = lambda r: draws.with_outcomes(theta, size, r)  # noqa: E731
    share = size / len(fitted.design.groups)
    refits = _refits(fitted, theta, share, data_set, settings.n_sim)
    if settings.test == "wald":
        statistics = wald_statistics(fitted, refits, np.eye(fitted.problem.layout.p)[tested])
    else:
        smaller = _smaller_refits(fitted, theta, share, data_set, tested, settings.n_sim)
        ratio = np.maximum(2.0 * (refits.log_likelihood - smaller.log_likelihood), 0.0)
        statistics = np.where(refits.converged & smaller.converged, ratio, np.nan)
    return np.array([chi_square_tail(value, len(tested)) if np.isfinite(value) else np.nan for value in statistics])


def _refits(fitted: FittedModel, theta: np.ndarray, share: float, data_set: Any, n: int) -> Refits:
    """The model fitted to every data set, from the truth; the information is that of the fit, by ``share`` of its clusters."""
    start = away_from_limits(fitted.problem, theta, fitted.convergence.limits)
    buckets = jax.device_put(data_set(0))
    modes = _no_modes(fitted.problem.layout.covariance.q, buckets)
    origin = Origin(fitted.problem, fitted.options, fitted.quadrature, buckets, start, share * fitted.information, modes)
    return refit_all(origin, with_data_sets(n, data_set))


def _smaller_refits(fitted: FittedModel, theta: np.ndarray, share: float, data_set: Any, tested: np.ndarray, n: int) -> Refits:
    """The same without the columns that are tested."""
    layout = fitted.problem.layout
    problem = dataclasses.replace(fitted.problem, layout=dataclasses.replace(layout, p=layout.p - len(tested)))
    kept = np.setdiff1d(np.arange(layout.size), tested)
    columns = np.setdiff1d(np.arange(layout.p), tested)

    def without(r: int) -> tuple[Bucket, ...]:
        return tuple(bucket._replace(X=(bucket.X[0][:, columns], *bucket.X[1:])) for bucket in data_set(r))

    start = away_from_limits(fitted.problem, theta, fitted.convergence.limits)[kept]
    buckets = jax.device_put(without(0))
    information = share * fitted.information[np.ix_(kept, kept)]
    modes = _no_modes(layout.covariance.q, buckets)
    return refit_all(Origin(problem, fitted.options, fitted.quadrature, buckets, start, information, modes), with_data_sets(n, without))


def _no_modes(q: int, buckets: tuple[Bucket, ...]) -> tuple[Any, ...]:
    return tuple(np.zeros((bucket.shape[0], q, bucket.shape[2])) for bucket in buckets)


def _shapes(sizes: Sequence[int]) -> list[int]:
    """For each size the number of clusters to whose shape it is padded: programs for a shape of its own cost seconds."""
    found: dict[int, int] = {}
    most = 0
    for size in sorted(sizes, reverse=True):
        most = size if size * _SMALLER < most or not most else most
        found[size] = most
    return [found[size] for size in sizes]


def _effects(fitted: FittedModel, effects: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Names (k,) and values (V, k) of the coefficients."""
    how = "a dict from the name of a coefficient to its value, or to a list of values, such as {'time': [0.1, 0.2]}"
    if not isinstance(effects, Mapping) or not effects:
        raise ArgumentError(f"effects={shown(effects)} must be {how}.")
    known = fitted.design.fixed_names
    for name in effects:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the coefficients are {', '.join(map(repr, known))}."
            raise ArgumentError(f"effects has {shown(name)}, which is no fixed effect of the model: {hint}")
    try:
        lists = [np.atleast_1d(np.asarray(value, float)) for value in effects.values()]
    except NOT_NUMBERS:
        raise ArgumentError(f"effects={shown(effects)} has values that are no numbers; it must be {how}.") from None
    lengths = {len(one) for one in lists if one.ndim == 1 and len(one) != 1}
    if any(one.ndim != 1 or not len(one) or not np.isfinite(one).all() for one in lists) or len(lengths) > 1:
        raise ArgumentError(
            f"effects={shown(effects)} must be finite numbers, in lists of one length: the values at one place belong together."
        )
    n = lengths.pop() if lengths else 1
    if n > _MOST_EFFECTS:
        raise ArgumentError(f"effects has {n:,} values, and {_MOST_EFFECTS:,} are allowed; give fewer.")
    return tuple(effects), np.column_stack([np.broadcast_to(one, n) for one in lists])


def _sizes(sizes: Any, m: int) -> tuple[int, ...]:
    """Numbers of clusters; ``m`` is that of the fit."""
    given = [m] if sizes is None else list(sizes) if isinstance(sizes, list | tuple | range | np.ndarray) else [sizes]
    is_whole = all(isinstance(one, int | np.integer) and not isinstance(one, bool) and 2 <= one <= 10**8 for one in given)
    if not given or not is_whole or len(set(given)) < len(given):
        raise ArgumentError(f"sizes={shown(sizes)} must be different whole numbers of clusters, 2 or more, such as [50, 100, 200].")
    return tuple(int(one) for one in given)
