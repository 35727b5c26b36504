"""Contrasts of means: differences, ratios, odds ratios and differences on the link scale, with tests and intervals by the delta method."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from glmmjax.arguments import OneOf
from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.links import Identity, Link, Log, Logit
from glmmjax.fitted import FittedModel
from glmmjax.postfit.population.marginal_means import Values, grouped_values
from glmmjax.postfit.uncertainty.delta_method import propagated_variances
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile, on_scale
from glmmjax.postfit.uncertainty.p_values import normal_two_sided
from glmmjax.postfit.uncertainty.vcov import covariance
from glmmjax.values import NOT_NUMBERS, check_size

__all__ = ["ADJUSTMENTS", "COMPARISONS", "Contrasts", "adjusted", "contrasts"]

COMPARISONS = ("difference", "ratio", "odds_ratio", "link")
ADJUSTMENTS = (None, "bonferroni", "holm")
_SIGNS = {"difference": " - ", "ratio": " / ", "odds_ratio": " / ", "link": " - "}


class Contrasts(NamedTuple):
    """k contrasts, (O, k) each; O is the number of levels of an ordinal outcome, else 1.

    Attributes
    ----------
    estimate : differences, or ratios
    error : standard errors by the delta method, on the scale of the estimates
    z : estimate divided by its standard error; for a ratio log(ratio) divided by the standard error of log(ratio)
    p_value : two-sided, after any adjustment
    lower : lower limits
    upper : upper limits
    names : (k,) such as "female - male"
    comparison : "difference", "ratio", "odds_ratio" or "link"
    levels : (O,) levels of an ordinal outcome, else ()
    """

    estimate: np.ndarray
    error: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    names: tuple[str, ...]
    comparison: str
    levels: tuple[Any, ...]


def contrasts(
    fitted: FittedModel, newdata: Any, contrast: Any, by: Any, *, comparison: str, kind: str, robust: Any, level: float, adjust: Any
) -> Contrasts:
    """Contrasts of the means of rows or groups of rows; the arguments are those of ``MixedModelResults.contrasts``."""
    means, groups = grouped_values(fitted, newdata, by, False, kind)
    weights, names = weights_of(contrast, [_text(label) for label in groups.labels], list(groups.labels), _SIGNS[comparison])
    values, jacobian = _on_comparison(fitted.problem.family, comparison, means)
    estimate, by_theta = values @ weights.T, np.einsum("kg,ogp->okp", weights, jacobian)
    error = np.sqrt(propagated_variances(by_theta.reshape(estimate.size, -1), covariance(fitted, robust))).reshape(estimate.shape)
    z = np.divide(estimate, error, out=np.full(estimate.shape, np.nan), where=error > 0)
    p_value = np.stack([adjusted(normal_two_sided(row), adjust) for row in z])
    reach = normal_quantile(level if adjust is None else 1.0 - (1.0 - level) / len(names)) * error
    ends = estimate - reach, estimate + reach
    if comparison in ("ratio", "odds_ratio"):
        estimate, ends = np.exp(estimate), (np.exp(ends[0]), np.exp(ends[1]))
        error = estimate * error
    return Contrasts(estimate, error, z, p_value, *ends, tuple(names), comparison, fitted.design.levels)


def _on_comparison(family: Family, comparison: str, means: Values) -> Values:
    """Means and their derivatives on the scale on which they are compared.

    Raises
    ------
    ArgumentError
        When a mean is outside the range of that scale, and for missing values.
    """
    if np.isnan(means.values).any():
        raise ArgumentError("newdata has rows with missing values, which no contrast can use; fill them in, or leave them out first.")
    own: Link = Logit() if family.is_ordinal else family.mean_link
    link = {"difference": Identity(), "ratio": Log(), "odds_ratio": Logit(), "link": own}[comparison]
    values, slope = on_scale(link, means.values)
    if not np.isfinite(values).all():
        needed = {"ratio": "means > 0", "odds_ratio": "means between 0 and 1"}.get(comparison, f"means that the {link.name} link can take")
        outside = means.values[~np.isfinite(values)][0]
        raise ArgumentError(f"comparison={comparison!r} needs {needed}, and one is {outside:.6g}; try comparison='difference'.")
    return Values(values, slope[..., None] * means.jacobian)


def weights_of(contrast: Any, texts: list[str], labels: list[Any], sign: str) -> tuple[np.ndarray, list[str]]:
    """(k, G) weights of the G means, and names of the contrasts.

    Raises
    ------
    ArgumentError
        For a text that is not known, weights of another shape, and labels that no mean has.
    """
    n = len(texts)
    if isinstance(contrast, str):
        OneOf("pairwise", "reference", "sequential").check("contrast", contrast)
        if n < 2:
            raise ArgumentError(f"contrast={contrast!r} compares at least two means, and there is {n}; give more rows or groups.")
        n_pairs = n * (n - 1) // 2 if contrast == "pairwise" else n - 1
        check_size(f"contrast={contrast!r} of {n:,} means", (n_pairs, n), "give a grid of few rows, or groups of rows with by=")
        pairs = {
            "pairwise": lambda: list(itertools.combinations(range(n), 2)),
            "reference": lambda: [(0, k) for k in range(1, n)],
            "sequential": lambda: list(itertools.pairwise(range(n))),
        }[contrast]()
        weights = np.zeros((len(pairs), n))
        for k, (first, second) in enumerate(pairs):
            weights[k, second], weights[k, first] = 1.0, -1.0
        return weights, [f"{texts[second]}{sign}{texts[first]}" for first, second in pairs]
    if isinstance(contrast, Mapping):
        rows = [_named_weights(name, row, labels) for name, row in contrast.items()]
        return _checked(rows, n), [str(name) for name in contrast]
    weights = _checked(contrast, n)
    index: Any = getattr(contrast, "index", None)
    has_labels = index is not None and not callable(index)  # a list has a method of that name
    names = [_text(label) for label in index] if has_labels else [f"contrast {k + 1}" for k in range(len(weights))]
    return weights, names


def _named_weights(name: Any, row: Any, labels: list[Any]) -> Any:
    if not isinstance(row, Mapping):
        return row
    unknown = [label for label in row if label not in labels]
    if unknown:
        raise ArgumentError(f"contrast[{name!r}] has a weight for {unknown[0]!r}; the means are of {', '.join(map(repr, labels))}.")
    return [row.get(label, 0.0) for label in labels]


def _checked(weights: Any, n: int) -> np.ndarray:
    try:
        found = np.atleast_2d(np.asarray(weights, float))
    except NOT_NUMBERS:
        raise ArgumentError(f"contrast must be text, a matrix of weights, or a dict of them, not {type(weights).__name__}.") from None
    if found.ndim != 2 or found.shape[1] != n or not len(found) or not np.isfinite(found).all():
        raise ArgumentError(f"contrast has shape {found.shape} and must hold finite weights, one column for each of the {n} means.")
    return found


def adjusted(p_values: np.ndarray, adjust: str | None) -> np.ndarray:
    """p-values (k,) of one family of tests, adjusted by the methods of Bonferroni or Holm (1979), Scand. J. Statist. 6, 65-70."""
    k = len(p_values)
    if adjust is None:
        return p_values
    if adjust == "bonferroni":
        return np.minimum(1.0, k * p_values)
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate((k - np.arange(k)) * p_values[order])
    found = np.empty(k)
    found[order] = np.minimum(1.0, stepped)
    return found


def _text(label: Any) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
