"""Permutation tests, cross-validation and power as labelled tables and text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from glmmjax.postfit.inference.cross_validation import CrossValidation, Score
from glmmjax.postfit.inference.permutation_test import PermutationTest
from glmmjax.postfit.inference.power import Power
from glmmjax.tables.export import html_fragment
from glmmjax.tables.page import Summary
from glmmjax.tables.result_frame import ResultFrame
from glmmjax.tables.text import Section, p_text

__all__ = [
    "cross_validation_frame",
    "cross_validation_page",
    "fold_series",
    "log_score_frame",
    "permutation_draws",
    "permutation_frame",
    "permutation_html",
    "permutation_text",
    "power_frame",
    "power_page",
]

_STATISTICS = {"likelihood_ratio": "LRT", "wald": "Wald"}


def permutation_frame(test: PermutationTest) -> pd.DataFrame:
    """The test in one row, named by the covariate."""
    columns = {
        _STATISTICS[test.kind]: test.statistic,
        "df": test.df,
        "p-value": test.p_value,
        "MC error": test.p_error,
        "chi2 p-value": test.asymptotic,
    }
    return ResultFrame(columns, index=[test.covariate])


def permutation_draws(test: PermutationTest) -> pd.Series:
    """The statistics of all permutations."""
    return pd.Series(test.draws, index=pd.RangeIndex(len(test.draws), name="permutation"), name=_STATISTICS[test.kind])


def permutation_text(test: PermutationTest) -> str:
    """The test with its notes."""
    return _permutation_section(test).text()


def permutation_html(test: PermutationTest) -> str:
    """The same as HTML for notebooks."""
    return html_fragment((_permutation_section(test),))


def _permutation_section(test: PermutationTest) -> Section:
    texts = permutation_frame(test).astype(object)
    for name in texts:
        value = texts[name].iloc[0]
        texts[name] = [f"{value}" if name == "df" else p_text(value) if name.endswith("p-value") else f"{value:.4f}"]
    return Section(f"Permutation test of {test.covariate}", (), texts, test.notes)


def cross_validation_frame(found: CrossValidation) -> pd.DataFrame:
    """One row a score and fit, with the difference from the first fit."""
    first = {score.kind: score for score in reversed(found.scores)}
    rows = [[score.kind, score.value, score.error, *_difference(score is first[score.kind], score, first)] for score in found.scores]
    frame = ResultFrame(rows, columns=["score", "estimate", "std_error", "difference", "difference_error"])
    frame.index = pd.Index([score.name for score in found.scores])
    return frame if len(found.names) > 1 else frame.drop(columns=["difference", "difference_error"])


def log_score_frame(found: CrossValidation) -> pd.DataFrame:
    """Log scores of the clusters, one column a fit."""
    return ResultFrame(found.log_scores.T, index=found.groups, columns=list(found.names))


def fold_series(found: CrossValidation) -> pd.Series:
    """The fold of each cluster."""
    return pd.Series(found.fold_of, index=found.groups, name="fold")


def cross_validation_page(found: CrossValidation) -> Summary:
    """The scores as a page."""
    frame = cross_validation_frame(found)
    headings = {
        "score": "Score",
        "estimate": "Estimate",
        "std_error": "Std.Err",
        "difference": "Difference",
        "difference_error": "Diff.Err",
    }
    texts = frame.rename(columns=headings).astype(object)
    for name in texts.columns[1:]:
        texts[name] = [
            "" if np.isnan(value) else f"{value:.4f}" if kind != "log" else f"{value:.2f}"
            for kind, value in zip(frame["score"], texts[name], strict=True)
        ]
    return Summary((Section("Cross-validation", (), texts, found.notes),), {"scores": frame})


def _difference(is_first: bool, score: Score, first: dict[str, Score]) -> tuple[float, float]:
    return (np.nan, np.nan) if is_first else score.difference(first[score.kind])


def power_frame(found: Power) -> pd.DataFrame:
    """One row an effect and size."""
    n_values, sizes = len(found.effects), np.asarray(found.sizes)
    lower, upper = found.band
    effects = {name: np.repeat(found.effects[:, k], len(sizes)) for k, name in enumerate(found.names)}
    numbers = {"power": found.power, "lower": lower, "upper": upper, "certified": found.n_known / found.settings.n_sim}
    columns = {found.unit: np.tile(sizes, n_values), **effects, **{name: values.T.ravel() for name, values in numbers.items()}}
    return ResultFrame(columns)


def power_page(found: Power) -> Summary:
    """The power as a page."""
    frame, settings = power_frame(found), found.settings
    shares = ("power", "lower", "upper", "certified")
    texts = pd.DataFrame({name: [f"{value:.3f}" if name in shares else f"{value:g}" for value in frame[name]] for name in frame})
    texts.index = pd.Index([""] * len(texts))
    test = {"wald": "Wald test", "likelihood_ratio": "likelihood-ratio test"}[settings.test]
    title = f"Power of the {test} of {', '.join(f'{name} = 0' for name in found.names)}"
    lost = int(found.p_values.size - found.n_known.sum())
    notes = [
        f"{settings.n_sim} data sets a row, level {settings.alpha:g}, seed {settings.seed}; lower and upper are 95 % Monte Carlo bands."
    ]
    if lost:
        notes.append(f"{lost} of {found.p_values.size} data sets are not counted, because a model has no certified maximum there.")
    return Summary((Section(title, (), texts, tuple(notes)),), {"power": frame})
