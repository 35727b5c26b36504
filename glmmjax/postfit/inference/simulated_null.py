r"""The likelihood-ratio test by its own null distribution: data simulated from the smaller model, both models refitted to each.

With the statistic T of the data and :math:`T^*_r` of n simulated data sets

.. math:: p = \frac{1 + \#\{r : T^*_r \ge T\}}{n + 1}

It needs no asymptotic distribution, and so holds on the boundary of the parameter space and in small samples, as far as the smaller model
does.

Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 4.2.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.estimation.refits import Refits, refit_all, with_outcomes
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.anova import Comparison, SimulatedNull, compare
from glmmjax.postfit.inference.boundary_mixtures import LIMIT_NOTES, boundary_hint
from glmmjax.postfit.prediction.rows import to_caller_order
from glmmjax.postfit.refitting.bootstrap import check_is_maximum, origin_of, simulated_outcomes
from glmmjax.values import check_size

__all__ = ["NULLS", "compare_by_simulation", "monte_carlo_p_value"]

NULLS = {"chi2": "a chi-square distribution, or a mixture of them", "simulated": "data simulated from the smaller model"}
_TIE = 1e-6  # by which statistics differ that are the same, such as those of a variance of 0


def compare_by_simulation(fit0: FittedModel, fit1: FittedModel, n: int, seed: int) -> Comparison:
    """``compare``, with the p-value from ``n`` data sets simulated from the smaller model.

    Raises
    ------
    ArgumentError
        As ``compare``; for fits without certificate, a family that cannot be simulated from, and an ``n`` beyond memory.
    RowsNotKeptError
        For streamed fits.
    """
    found = compare(fit0, fit1)
    if found.statistic is None:
        return found
    fits = {"fit0": fit0, "fit1": fit1}
    smaller, larger = fits[found.smaller.name], fits[found.larger.name]
    for fit in (smaller, larger):
        check_is_maximum(fit, "null='simulated'")
    statistics = _statistics(smaller, larger, n, seed)
    known = statistics[np.isfinite(statistics)]
    if not len(known):
        raise ArgumentError(
            f"null='simulated': in none of the n={n} data sets do both models have a certified maximum; fit simpler models."
        )
    p_value = monte_carlo_p_value(found.statistic, known)
    null = SimulatedNull(statistics, int(seed), math.sqrt(p_value * (1.0 - p_value) / len(known)))
    said = (boundary_hint(smaller.design, larger.design), *LIMIT_NOTES.values())
    notes = (*(note for note in found.notes if note not in said), *_notes(found.smaller.name, n, n - len(known)))
    return dataclasses.replace(found, p_value=p_value, weights={}, notes=notes, null=null)


def monte_carlo_p_value(statistic: float, simulated: np.ndarray) -> float:
    """``(1 + number of simulated values as large) / (1 + their number)``; ties count, up to rounding."""
    return (1.0 + float((simulated >= statistic - _TIE).sum())) / (1.0 + len(simulated))


def _notes(name: str, n: int, n_lost: int) -> list[str]:
    notes = [f"The p-value is (1 + the number of likelihood ratios as large) / (1 + their number) in {n} data sets simulated from {name}."]
    lost = f"{n_lost} of them are not counted, because a model has no certified maximum there."
    return [*notes, lost] if n_lost else notes


def _statistics(smaller: FittedModel, larger: FittedModel, n: int, seed: int) -> np.ndarray:
    """(n,) likelihood ratios; NaN where a refit has no certificate."""
    check_size(f"n={n:,} data sets", (n, len(smaller.design.row_labels)), "a thousand data sets are enough")
    with jax.enable_x64(True):
        outcomes = _outcomes(smaller, n, seed)
        ends = [_refitted(fit, outcomes, n) for fit in (smaller, larger)]
    ratio = 2.0 * (ends[1].log_likelihood - ends[0].log_likelihood)
    return np.where(ends[0].converged & ends[1].converged, np.maximum(ratio, 0.0), np.nan)


def _outcomes(fitted: FittedModel, n: int, seed: int) -> Any:
    """(n, rows) simulated outcomes in the caller's order, as ``Design.with_outcomes`` takes them: the fits may lay out rows differently."""
    draw = simulated_outcomes(fitted, seed, "null='simulated' is not possible; try null='chi2'")
    by_bucket = jax.tree.map(lambda *parts: np.stack(parts, axis=1), *[draw(r) for r in range(n)])
    columns = zip(*(y if isinstance(y, tuple) else (y,) for y in by_bucket), strict=True)
    found = tuple(to_caller_order(fitted.design, blocks) for blocks in columns)
    return found if len(found) > 1 else found[0]


def _refitted(fitted: FittedModel, outcomes: Any, n: int) -> Refits:
    """The model refitted to each outcome."""
    ys = jax.tree.map(np.asarray, tuple(bucket.y for bucket in fitted.design.with_outcomes(outcomes).buckets))
    return refit_all(origin_of(fitted), with_outcomes(n, lambda r: jax.tree.map(lambda y: y[r], ys)))
