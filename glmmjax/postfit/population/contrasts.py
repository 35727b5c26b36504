"""Contrasts of means: differences, ratios, odds ratios and differences on the link scale, with tests and intervals by the delta method.

Contrasts within strata are made of the means of one stratum; ``contrast_weights`` says which means with which weights.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.links import Identity, Link, Log, Logit
from glmmjax.fitted import FittedModel
from glmmjax.postfit.population.contrast_weights import Stratum, strata_of, weights_of
from glmmjax.postfit.population.marginal_means import Values, grouped_values
from glmmjax.postfit.uncertainty.delta_method import propagated, propagated_variances
from glmmjax.postfit.uncertainty.link_intervals import on_scale
from glmmjax.postfit.uncertainty.multiple_comparisons import adjusted_tests
from glmmjax.postfit.uncertainty.vcov import covariance
from glmmjax.values import check_size

__all__ = ["ADJUSTMENTS", "COMPARISONS", "Contrasts", "contrasts"]

COMPARISONS = ("difference", "ratio", "odds_ratio", "link")
ADJUSTMENTS = (None, "tukey", "dunnett", "single_step", "holm", "bonferroni", "fdr_bh")
_OF = {"tukey": "pairwise", "dunnett": "reference"}  # the contrasts that a method is for
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
    strata : (k,) values of the columns of ``within``; () each without strata
    stratum_names : names of these columns
    comparison : "difference", "ratio", "odds_ratio" or "link"
    kind : "mean_subject", "marginal" or "zero_part"
    adjust : how p-values and limits were adjusted within a stratum
    levels : (O,) levels of an ordinal outcome, else ()
    """

    estimate: np.ndarray
    error: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    names: tuple[str, ...]
    strata: tuple[tuple[Any, ...], ...]
    stratum_names: tuple[str, ...]
    comparison: str
    kind: str
    adjust: str | None
    levels: tuple[Any, ...]


def contrasts(
    fitted: FittedModel,
    newdata: Any,
    contrast: Any,
    by: Any,
    *,
    within: Any,
    comparison: str,
    kind: str,
    robust: Any,
    level: float,
    adjust: Any,
) -> Contrasts:
    """Contrasts of the means of rows or groups of rows; the arguments are those of ``MixedModelResults.contrasts``."""
    if adjust in _OF and not (isinstance(contrast, str) and contrast == _OF[adjust]):
        raise ArgumentError(
            f"adjust={adjust!r} is for contrast={_OF[adjust]!r}; take adjust='single_step', which is the like for any contrasts, or 'holm'."
        )
    means, groups = grouped_values(fitted, newdata, by, False, kind, within)
    values, jacobian = _on_comparison(_link_of(fitted.problem.family, comparison, kind), comparison, means)
    theta_covariance, parts = covariance(fitted, robust), []
    strata = strata_of(groups.labels, within)
    for stratum in strata:
        weights, names = weights_of(contrast, stratum.labels, _SIGNS[comparison])
        chosen = values[:, stratum.places], jacobian[:, stratum.places]
        parts.append(_TestedStratum(stratum, tuple(names), *_tested(chosen, weights, theta_covariance, adjust, level)))
    estimate, error, z, p_value, reach = (np.concatenate([part[k] for part in parts], axis=1) for k in range(2, 7))
    ends = estimate - reach * error, estimate + reach * error
    if comparison in ("ratio", "odds_ratio"):
        estimate, ends = np.exp(estimate), (np.exp(ends[0]), np.exp(ends[1]))
        error = estimate * error
    all_names = tuple(name for part in parts for name in part.names)
    keys = tuple(part.stratum.key for part in parts for _ in part.names)
    return Contrasts(
        estimate, error, z, p_value, *ends, all_names, keys, strata[0].names, comparison, kind, adjust, _outcome_levels(fitted, kind)
    )


class _TestedStratum(NamedTuple):
    """The contrasts of one stratum, (O, k) each."""

    stratum: Stratum
    names: tuple[str, ...]
    estimate: np.ndarray
    error: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    reach: np.ndarray


def _tested(
    means: tuple[np.ndarray, np.ndarray], weights: np.ndarray, theta_covariance: np.ndarray, adjust: Any, level: float
) -> tuple[np.ndarray, ...]:
    """Estimates, errors, z, p-values and half widths in standard errors, (O, k) each, of the means (O, G) with their derivatives."""
    values, jacobian = means
    estimate, found = values @ weights.T, []
    for row, by_theta in zip(estimate, np.einsum("kg,ogp->okp", weights, jacobian), strict=True):
        error = np.sqrt(propagated_variances(by_theta, theta_covariance))
        z = np.divide(row, error, out=np.full(row.shape, np.nan), where=error > 0)
        correlation = functools.partial(_correlation, by_theta, theta_covariance, error)
        p_value, reach = adjusted_tests(z, correlation, weights.shape[1], adjust, level)
        found.append((row, error, z, p_value, np.full(row.shape, reach)))
    return tuple(np.stack(column) for column in zip(*found, strict=True))


def _correlation(by_theta: np.ndarray, theta_covariance: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(k, k) of the estimates of k contrasts."""
    check_size(f"contrasts: the correlations of {len(error):,} contrasts", (len(error), len(error)), "take adjust='holm', or fewer rows")
    sizes = np.outer(error, error)
    return np.divide(propagated(by_theta, theta_covariance), sizes, out=np.eye(len(error)), where=sizes > 0)


def _outcome_levels(fitted: FittedModel, kind: str) -> tuple[Any, ...]:
    return () if kind == "zero_part" else fitted.design.levels


def _link_of(family: Family, comparison: str, kind: str) -> Link:
    """The scale on which means, or probabilities, are compared."""
    own: Link = Logit() if family.is_ordinal or kind == "zero_part" else family.mean_link
    return {"difference": Identity(), "ratio": Log(), "odds_ratio": Logit(), "link": own}[comparison]


def _on_comparison(link: Link, comparison: str, means: Values) -> Values:
    """Means and their derivatives on the scale on which they are compared.

    Raises
    ------
    ArgumentError
        When a mean is outside the range of that scale, and for missing values.
    """
    if np.isnan(means.values).any():
        raise ArgumentError("newdata has rows with missing values, which no contrast can use; fill them in, or leave them out first.")
    values, slope = on_scale(link, means.values)
    if not np.isfinite(values).all():
        needed = {"ratio": "means > 0", "odds_ratio": "means between 0 and 1"}.get(comparison, f"means that the {link.name} link can take")
        outside = means.values[~np.isfinite(values)][0]
        raise ArgumentError(f"comparison={comparison!r} needs {needed}, and one is {outside:.6g}; try comparison='difference'.")
    return Values(values, slope[..., None] * means.jacobian)
