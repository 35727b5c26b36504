r"""Permutation test of a covariate of the fixed effects: its values are exchanged at random, and the model is refitted each time.

With the statistic T of the data and :math:`T^*_r` of n random exchanges

.. math:: p = \frac{1 + \#\{r : T^*_r \ge T\}}{n + 1}

It is exact where the covariate is exchangeable given the other covariates, as one that was randomised is, whatever the family.

Source: Phipson and Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9, article 39, for the p-value.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np

from glmmjax.design.levels import check_one_level
from glmmjax.design.permuted_columns import PermutedColumns, permuted_columns, strata_of_rows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.maximise import maximise
from glmmjax.estimation.refits import Refits, refit_all, with_columns
from glmmjax.fitted import FittedModel, check_rows_count_once
from glmmjax.likelihood.clusters import from_rows, replace_columns
from glmmjax.postfit.inference.anova import check_unpenalised
from glmmjax.postfit.prediction.rows import own_clusters
from glmmjax.postfit.refitting.bootstrap import check_is_maximum, origin_of
from glmmjax.postfit.refitting.exchange import CovariateExchange, CovariateValues, exchange_of
from glmmjax.postfit.refitting.refit_tests import own_end, wald_statistics
from glmmjax.postfit.uncertainty.p_values import chi_square_tail
from glmmjax.postfit.uncertainty.scores import cluster_weights_of
from glmmjax.values import check_size

__all__ = ["STATISTICS", "PermutationSettings", "PermutationTest", "permutation_test"]

STATISTICS = {"likelihood_ratio": "against the model without the covariate", "wald": "of the coefficients of the covariate"}
_TIE = 1e-4  # share by which statistics differ that are the same: what the search leaves of one
_BLOCK_NUMBERS = 2_000_000  # numbers in the columns that are made at a time
_SAMPLE = 20  # exchanges that show which coefficients they touch
_RANK = 1e-8


@dataclasses.dataclass(frozen=True)
class PermutationSettings:
    """How a covariate is permuted; the fields are the arguments of ``permutation_test``."""

    n_permutations: int = 999
    statistic: str = "likelihood_ratio"
    exchange: str = "auto"
    strata: str | None = None
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class PermutationTest:
    """A permutation test.

    Attributes
    ----------
    covariate : whose values are exchanged
    exchange : "between" clusters or "within"
    kind : of the statistic, one of ``STATISTICS``
    statistic : of the data
    df : number of coefficients that are tested
    draws : (n,) statistics of the exchanges; NaN where the model has no certified maximum
    p_value : share of exchanges with a statistic as large
    p_error : Monte Carlo standard error of the p-value
    asymptotic : p-value of the statistic from the chi-square distribution
    seed : of the exchanges
    notes : sentences below the table
    """

    covariate: str
    exchange: str
    kind: str
    statistic: float
    df: int
    draws: np.ndarray
    p_value: float
    p_error: float
    asymptotic: float
    seed: int
    notes: tuple[str, ...]


def permutation_test(fitted: FittedModel, term: str, settings: PermutationSettings) -> PermutationTest:
    """Test a covariate of the fixed effects; see ``glmmjax.permutation_test``, which documents the arguments.

    Raises
    ------
    ArgumentError
        For a fit that is no certified maximum, a penalised one with the likelihood ratio, a term that names no covariate that can be
        permuted, and exchanges that the design of the data does not allow.
    RowsNotKeptError
        For a streamed fit.
    """
    n = settings.n_permutations
    check_one_level(fitted.design, "permutation_test")
    check_rows_count_once(fitted, "permutation_test")
    check_is_maximum(fitted, "permutation_test")
    if settings.statistic == "likelihood_ratio":
        check_unpenalised("fit", fitted)
    _ = fitted.design.clusters  # raises the error of a stream
    check_size(f"n_permutations={n:,}", (n, fitted.problem.layout.size**2), "a few thousand permutations are enough")
    data = fitted.request.data
    columns = permuted_columns(fitted.design, term, data)
    is_grouped = fitted.design.group_name is not None
    clusters = np.asarray(own_clusters(fitted)) if is_grouped else np.arange(len(columns.codes))
    weights = np.asarray(cluster_weights_of(fitted))
    strata = strata_of_rows(fitted.design, settings.strata, data)
    exchange = exchange_of(CovariateValues(columns.name, columns.codes, clusters, weights, strata), settings.exchange)
    touched = _touched(columns, exchange, settings.seed)
    with jax.enable_x64(True):
        blocks = _blocks(columns, exchange, settings.seed)
        refits = refit_all(origin_of(fitted), with_columns(n, blocks))
        observed, draws = _statistics(fitted, refits, touched, settings.statistic)
    known = draws[np.isfinite(draws)]
    if not len(known):
        raise ArgumentError(f"permutation_test: in none of the {n} permutations has the model a certified maximum; fit a simpler one.")
    p = (1.0 + float((known >= observed - _TIE * (1.0 + observed)).sum())) / (1.0 + len(known))
    return PermutationTest(
        covariate=columns.name,
        exchange=exchange.kind,
        kind=settings.statistic,
        statistic=observed,
        df=len(touched),
        draws=draws,
        p_value=p,
        p_error=math.sqrt(p * (1.0 - p) / len(known)),
        asymptotic=chi_square_tail(observed, len(touched)),
        seed=int(settings.seed),
        notes=_notes(fitted, columns, exchange, n, len(known), settings.strata),
    )


def _blocks(columns: PermutedColumns, exchange: CovariateExchange, seed: int) -> Any:
    """A function of ``r`` that gives the columns of exchange r in the blocks of the fit; columns of many exchanges are made at once."""
    design = columns.design
    buckets = design.clusters.buckets
    others = [tuple(np.asarray(x) for x in bucket.X[1:]) for bucket in buckets]
    size = max(1, _BLOCK_NUMBERS // max(1, len(columns.codes) * len(design.fixed_names)))

    @functools.lru_cache(maxsize=4)
    def several(first: int) -> tuple[Any, ...]:
        found = columns.of_rows(exchange.sources(np.arange(first, first + size), seed))
        return tuple(found.swapaxes(0, 1))

    def one(r: int) -> tuple[Any, ...]:
        mine = several(r - r % size)[r % size]
        return tuple((x, *rest) for x, rest in zip(from_rows(design.order, mine), others, strict=True))

    return one


def _touched(columns: PermutedColumns, exchange: CovariateExchange, seed: int) -> np.ndarray:
    """(k, p) combinations of the coefficients that exchanges touch: those that vanish where the covariate has no effect.

    A combination of columns that no exchange changes belongs to the smaller model.
    """
    own = np.arange(len(columns.codes))
    before = columns.of_rows(own[None])
    changes = (columns.of_rows(exchange.sources(np.arange(_SAMPLE), seed)) - before).reshape(len(before), -1)
    length = np.sqrt((before**2).sum(axis=(1, 2)))
    length = np.where(length > 0, length, 1.0)
    vectors, sizes, _ = np.linalg.svd(_gram(changes / length[:, None]))
    found = vectors[:, sizes > _RANK * max(sizes[0], 1e-300)].T * length  # what changes is the sum of columns times coefficients
    used = np.abs(changes).max(axis=1) > 0
    if used.sum() == len(found):  # each of these coefficients by itself, which reads best and rounds least
        return np.eye(len(before))[used]
    return found


def _gram(changes: np.ndarray) -> np.ndarray:
    return changes @ changes.T / changes.shape[1]


def _statistics(fitted: FittedModel, refits: Refits, touched: np.ndarray, kind: str) -> tuple[float, np.ndarray]:
    """The statistic of the data, and (n,) those of the refits, NaN where one has no certificate."""
    if kind == "wald":
        observed = float(wald_statistics(fitted, own_end(fitted), touched)[0])
        if not math.isfinite(observed):
            raise ArgumentError("statistic='wald': the coefficients have no standard errors; take statistic='likelihood_ratio'.")
        return observed, wald_statistics(fitted, refits, touched)
    smaller = _smaller_log_likelihood(fitted, touched)
    ratio = 2.0 * (refits.log_likelihood - smaller)
    return max(2.0 * (fitted.log_likelihood - smaller), 0.0), np.where(refits.converged, np.maximum(ratio, 0.0), np.nan)


def _smaller_log_likelihood(fitted: FittedModel, touched: np.ndarray) -> float:
    """The log-likelihood without the covariate, which is the same in every exchange."""
    length = np.sqrt((touched**2).sum(axis=1, keepdims=True))
    kept = np.linalg.svd(touched / length)[2][len(touched) :]
    is_plain = (touched != 0).sum() == len(touched)
    kept = np.eye(touched.shape[1])[~touched.any(axis=0)] if is_plain else kept
    buckets = fitted.design.clusters.buckets
    columns = [(np.einsum("kp,spwb->skwb", kept, np.asarray(bucket.X[0])), *bucket.X[1:]) for bucket in buckets]
    problem = dataclasses.replace(fitted.problem, layout=dataclasses.replace(fitted.problem.layout, p=len(kept)))
    found = maximise(problem, fitted.options, jax.device_put(replace_columns(buckets, columns)), fitted.quadrature)
    if not found.convergence.has_converged:
        raise ArgumentError(
            f"the model without the covariate has no certified maximum ({found.convergence.message}); take statistic='wald', or fit a "
            "simpler model."
        )
    return found.log_likelihood


def _notes(
    fitted: FittedModel, columns: PermutedColumns, exchange: CovariateExchange, n: int, n_known: int, strata: str | None
) -> tuple[str, ...]:
    units = "clusters" if fitted.design.group_name is not None else "rows"
    inside = f", inside strata of {strata!r}" if strata is not None else ""
    if exchange.kind == "within":
        done = f"The rows of each cluster exchange their values of {columns.name!r}{inside}; differences between clusters stay."
    elif exchange.places.any():
        done = f"Whole {units} of one size exchange their values of {columns.name!r}, row by row{inside}."
    else:
        done = (
            f"Whole {units} exchange their values of {columns.name!r}{inside}."
            if units == "clusters"
            else (f"The rows exchange their values of {columns.name!r}{inside}.")
        )
    notes = [done, f"The p-value is (1 + the number of statistics as large) / (1 + their number) in {n} permutations."]
    if exchange.log_arrangements < math.log(n):
        notes.append(f"There are only {math.exp(exchange.log_arrangements):.0f} different arrangements.")
    if n_known < n:
        notes.append(f"{n - n_known} permutations are not counted, because the model has no certified maximum there.")
    return tuple(notes)
