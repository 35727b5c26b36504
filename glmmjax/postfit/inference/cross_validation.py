r"""Cross-validation by clusters: each fold of whole clusters is predicted by the model fitted to the others.

.. math:: \text{log score} = \sum_i w_i \log \int \prod_j p(y_{ij} \mid b; \hat\theta_{(-f(i))})\, N(b; 0, D_{(-f(i))})\, db

Several fits have the same folds, so that their scores are compared cluster by cluster. Standard errors are over clusters; that of the area
under the curve takes the clusters' shares of it.

Source: Arlot and Celisse (2010), Statistics Surveys 4, 40-79; Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432,
section 5, for paired differences; Obuchowski (1997), Biometrics 53, 567-578, for the area under the curve of clustered data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.estimation.refits import refit_all, with_weights
from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.marginal_scores import MarginalScores, marginal_scores
from glmmjax.postfit.inference.anova import check_same_data
from glmmjax.postfit.prediction.rows import own_clusters, own_outcome, read_own_rows, row_counts
from glmmjax.postfit.refitting.bootstrap import check_is_maximum, origin_of
from glmmjax.postfit.uncertainty.scores import cluster_values, cluster_weights_of

__all__ = ["CROSS_SCORES", "CrossValidation", "FoldSettings", "Score", "cross_validation"]

CROSS_SCORES = {
    "log": "log-likelihood of held-out clusters",
    "brier": "of the outcomes of their rows",
    "crps": "continuous ranked probability score",
    "auc": "area under the ROC curve",
}


@dataclasses.dataclass(frozen=True)
class FoldSettings:
    """How fits are cross-validated; the fields are the arguments of ``cross_validate``."""

    folds: int = 5
    scores: tuple[str, ...] = ("log",)
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """One score of one fit.

    Attributes
    ----------
    name : of the fit
    kind : one of ``CROSS_SCORES``
    value : sum over clusters for ``"log"``, a mean over rows or pairs of rows otherwise
    shares : (m,) by how much each cluster moves the value, 0 on average; NaN for clusters that are not counted
    """

    name: str
    kind: str
    value: float
    shares: np.ndarray

    @property
    def error(self) -> float:
        """Standard error over clusters."""
        return _error(self.shares)

    def difference(self, other: Score) -> tuple[float, float]:
        """The value minus that of ``other``, and the standard error of the difference, paired by cluster."""
        return self.value - other.value, _error(self.shares - other.shares)


@dataclasses.dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of F fits in K folds of m clusters.

    Attributes
    ----------
    scores : one for each kind and fit, the fits of a kind in their order
    log_scores : (F, m) log-likelihood of each cluster, times its weight, by the fit without its fold; NaN without a certificate
    names : (F,) of the fits
    groups : (m,) pandas Index: labels of the clusters
    fold_of : (m,) number of each cluster's fold, from 0
    converged : (F, K) whether the fit without a fold is a certified maximum
    seed : of the folds
    notes : sentences below the table
    """

    scores: tuple[Score, ...]
    log_scores: np.ndarray
    names: tuple[str, ...]
    groups: Any
    fold_of: np.ndarray
    converged: np.ndarray
    seed: int
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Held:
    """What the fits without each fold say of the clusters in it."""

    log_score: np.ndarray  # (m,)
    units: np.ndarray  # (n,) cluster of each row
    weights: np.ndarray  # (n,) of its cluster
    rows: MarginalScores | None  # (n,)
    outcome: np.ndarray  # (n,)
    converged: np.ndarray  # (K,)


def cross_validation(fits: Sequence[FittedModel], names: Sequence[str], settings: FoldSettings) -> CrossValidation:
    """Cross-validate fits of the same data; see ``cross_validate``, which documents the arguments.

    Raises
    ------
    ArgumentError
        For fits of other data, a fit that is no certified maximum, more folds than clusters, and a score that a family does not have.
    RowsNotKeptError
        For a streamed fit.
    """
    for name, fit in zip(names, fits, strict=True):
        _check_fit(name, fit, settings)
        check_same_data((names[0], fits[0]), (name, fit))
    design = next((fit.design for fit in fits if fit.design.group_name is not None), fits[0].design)
    m, k = len(design.groups), settings.folds
    if k > m:
        raise ArgumentError(f"folds={k} must be at most the number of clusters, {m}; folds={m} leaves out one cluster at a time.")
    fold_of = np.random.default_rng(int(settings.seed)).permutation(m) % k
    units = [_units(fit, fits) for fit in fits]
    with jax.enable_x64(True):
        held = [_held(fit, own, fold_of, settings) for fit, own in zip(fits, units, strict=True)]
    converged = np.stack([one.converged for one in held])
    counted = np.asarray(converged.all(axis=0))[fold_of]
    if counted.sum() < 2:
        raise ArgumentError(
            "cross_validate: without most of the folds a fit has no certified maximum, and fewer than two clusters are left to score; fit "
            "simpler models, or take more folds."
        )
    scores = tuple(_score(name, kind, one, counted) for kind in settings.scores for name, one in zip(names, held, strict=True))
    return CrossValidation(
        scores=scores,
        log_scores=np.stack([one.log_score for one in held]),
        names=tuple(names),
        groups=design.groups,
        fold_of=fold_of,
        converged=converged,
        seed=int(settings.seed),
        notes=_notes(names, converged, fold_of, settings),
    )


def _check_fit(name: str, fit: FittedModel, settings: FoldSettings) -> None:
    check_is_maximum(fit, "cross_validate")
    _ = fit.design.clusters  # raises the error of a stream
    family, n_columns = fit.problem.family, len(fit.design.formula.outcome_columns)
    if "brier" in settings.scores and not family.is_discrete:
        raise ArgumentError(f"score='brier' is of whole numbers, and {name} is a {family.name} fit; take 'log' or 'crps'.")
    if "auc" in settings.scores and not (family.is_binary and n_columns == 1):
        raise ArgumentError(f"score='auc' is of outcomes 0 and 1, and {name} ({family.name}) has others; take 'log', 'brier' or 'crps'.")


def _units(fit: FittedModel, fits: Sequence[FittedModel]) -> np.ndarray:
    """(m',) the cluster to which each cluster of a fit belongs: itself, or, without random effects, that of its row in another fit."""
    own = np.arange(len(fit.design.groups))
    grouped = next((other for other in fits if other.design.group_name is not None), None)
    if fit.design.group_name is not None or grouped is None:
        return own
    found = np.empty(len(own), np.int64)
    found[np.asarray(own_clusters(fit))] = np.asarray(own_clusters(grouped))
    return found


def _held(fit: FittedModel, units: np.ndarray, fold_of: np.ndarray, settings: FoldSettings) -> _Held:
    """Refits without each fold, and what they say of it."""
    folds, k = fold_of[units], settings.folds
    weights = np.asarray(cluster_weights_of(fit), float)
    without = with_weights(fit.design.clusters, k, lambda f: np.where(folds == f, 0.0, weights))
    found = refit_all(origin_of(fit), without)
    log_score = np.full(len(units), np.nan)
    of_row = np.asarray(own_clusters(fit))
    rows = _row_scores(fit, found, folds[of_row], settings) if set(settings.scores) != {"log"} else None
    for f in np.flatnonzero(found.converged):
        own = folds == f
        log_score[own] = (weights * cluster_values(dataclasses.replace(fit, theta=found.theta[f])))[own]
    sums = np.bincount(units, log_score, len(fold_of))
    return _Held(sums, units[of_row], weights[of_row] * row_counts(fit), rows, np.asarray(own_outcome(fit)[0]), found.converged)


def _row_scores(fit: FittedModel, found: Any, fold_of_row: np.ndarray, settings: FoldSettings) -> MarginalScores:
    """(n,) scores of all rows, each by the fit without its fold; folds are padded to one size, so that they share a program."""
    rows, n = read_own_rows(fit), len(fold_of_row)
    scores = MarginalScores(*(np.full(n, np.nan) for _ in MarginalScores._fields))
    size = np.bincount(fold_of_row).max()
    for f in np.flatnonzero(found.converged):
        own = np.flatnonzero(fold_of_row == f)
        part = marginal_scores(fit, found.theta[f], rows, np.resize(own, size), settings.seed)
        for whole, values in zip(scores, part, strict=True):
            whole[own] = values[: len(own)]
    return scores


def _score(name: str, kind: str, held: _Held, counted: np.ndarray) -> Score:
    """The value of a score over the clusters that count, and their shares in it."""
    shares = np.full(len(counted), np.nan)
    if kind == "log":
        value = float(held.log_score[counted].sum())
        shares[counted] = held.log_score[counted] - value / counted.sum()
        return Score(name, kind, value, shares)
    used = counted[held.units]
    rows: Any = held.rows
    units, weights = held.units[used], held.weights[used]
    if kind == "auc":
        y = held.outcome[used]
        p = np.where(y > 0, rows.probability[used], 1.0 - rows.probability[used])
        value, parts = _area(p, y > 0, weights)
    else:
        values = getattr(rows, kind)[used]
        value = float((weights * values).sum() / weights.sum())
        parts = weights * (values - value) / weights.sum()
    shares[counted] = np.bincount(units, parts, len(counted))[counted]
    return Score(name, kind, value, shares)


def _area(p: np.ndarray, is_one: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Area under the curve of probabilities (n,), and the share of each row in it: ties count half."""
    ones, zeros = weights * is_one, weights * ~is_one
    if not (ones.sum() and zeros.sum()):
        raise ArgumentError("score='auc': the outcome has one value only in the clusters that count.")
    _, place = np.unique(p, return_inverse=True)
    of_ones, of_zeros = np.bincount(place, ones), np.bincount(place, zeros)
    below = (np.cumsum(of_zeros) - 0.5 * of_zeros)[place] / zeros.sum()  # share of the zeros below each row
    above = (ones.sum() - np.cumsum(of_ones) + 0.5 * of_ones)[place] / ones.sum()  # share of the ones above
    value = float((ones * below).sum() / ones.sum())
    return value, ones * (below - value) / ones.sum() + zeros * (above - value) / zeros.sum()


def _error(shares: np.ndarray) -> float:
    known = shares[~np.isnan(shares)]
    return float(np.sqrt(len(known) / (len(known) - 1.0) * (known**2).sum()))


def _notes(names: Sequence[str], converged: np.ndarray, fold_of: np.ndarray, settings: FoldSettings) -> tuple[str, ...]:
    k, m = settings.folds, len(fold_of)
    notes = [f"{k} folds of {m} clusters, seed {settings.seed}. All scores are larger for better predictions."]
    kinds = settings.scores
    of_rows = [kind for kind in ("brier", "crps") if kind in kinds]
    meaning = ["log is the sum of the log-likelihoods of held-out clusters"] if "log" in kinds else []
    meaning += [f"{' and '.join(of_rows)} {'is a mean' if len(of_rows) == 1 else 'are means'} over rows"] if of_rows else []
    meaning += ["auc is over pairs of rows"] if "auc" in kinds else []
    notes.append(f"{'; '.join(meaning)}.")
    for f in np.flatnonzero(~converged.all(axis=0)):
        lost = ", ".join(name for name, has in zip(names, converged[:, f], strict=True) if not has)
        notes.append(f"Fold {f} ({(fold_of == f).sum()} clusters) is not counted: without it {lost} has no certified maximum.")
    return tuple(notes)
