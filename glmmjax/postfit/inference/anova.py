"""Comparison of two nested fits by the likelihood ratio, AIC and BIC."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from glmmjax.design.design import Design
from glmmjax.design.levels import compared_names
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.boundary_mixtures import LIMIT_NOTES, boundary_hint, mixture, mixture_note, n_limits
from glmmjax.postfit.inference.data_digests import outcome_digest, weights_digest
from glmmjax.postfit.inference.information_criteria import aic, bic, n_parameters, n_units
from glmmjax.postfit.prediction.rows import to_caller_order
from glmmjax.postfit.uncertainty.p_values import mixture_tail

__all__ = ["LRT_SLACK", "Comparison", "Row", "check_same_data", "check_unpenalised", "compare", "family_text", "row_of"]

LRT_SLACK = 1e-3  # certificate and quadrature error can put a larger model this far below the smaller one


@dataclasses.dataclass(frozen=True)
class Row:
    """One fit of a comparison.

    Attributes
    ----------
    name : such as "fit0", its place among the arguments
    formula : fixed and random formulas of the fit, and the family where the two fits differ in it
    aic : Akaike's criterion
    bic : Schwarz's criterion
    log_likelihood : without a penalty
    n_parameters : number of free parameters
    """

    name: str
    formula: str
    aic: float
    bic: float
    log_likelihood: float
    n_parameters: int


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedNull:
    """Likelihood ratios of data sets simulated from the smaller model.

    Attributes
    ----------
    statistics : (n,) likelihood ratios; NaN where a model has no certified maximum
    seed : of the data sets
    p_error : Monte Carlo standard error of the p-value
    """

    statistics: np.ndarray
    seed: int
    p_error: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two fits, the smaller first, and the test of the smaller against the larger; None where there is no test.

    Attributes
    ----------
    smaller : the fit with fewer parameters
    larger : the fit with more parameters
    statistic : likelihood ratio, twice the difference of the log-likelihoods
    df : difference of the numbers of parameters
    p_value : from the mixture of chi-square distributions, or from simulated data sets
    weights : df -> weight in the mixture that the p-value comes from; {df: 1.0} for a plain chi-square, and empty for simulated data sets
    notes : sentences below the table
    null : the simulated data sets that the p-value comes from; None for a chi-square
    """

    smaller: Row
    larger: Row
    statistic: float | None
    df: int | None
    p_value: float | None
    weights: dict[int, float]
    notes: tuple[str, ...]
    null: SimulatedNull | None = None


def compare(fit0: FittedModel, fit1: FittedModel, boundary: bool = False, names: tuple[str, str] = ("fit0", "fit1")) -> Comparison:
    """Compare two fits of the same data, which messages call by their ``names``.

    Raises
    ------
    ArgumentError
        For fits of different data, a penalised fit, and a ``boundary`` test that no known mixture covers.
    """
    pairs = tuple(zip(names, (fit0, fit1), strict=True))
    for name, fit in pairs:
        check_unpenalised(name, fit)
    check_same_data(*pairs)
    smaller, larger = sorted(pairs, key=lambda pair: n_parameters(pair[1]))
    n = n_units(fit0 if fit0.design.group_name is not None else fit1)
    has_one_family = family_text(fit0) == family_text(fit1)
    rows = [row_of(name, fit, n, "" if has_one_family else f", {family_text(fit)}") for name, fit in (smaller, larger)]
    df = rows[1].n_parameters - rows[0].n_parameters
    notes = [_bic_note(smaller[1], larger[1], n)]
    limits = n_limits(smaller[1], larger[1])
    if limits:
        weights = {df - 1: 0.5, df: 0.5}
        notes.append(LIMIT_NOTES[limits])
    elif boundary:
        weights = mixture(smaller[1], larger[1])
        notes.append(mixture_note(weights))
    else:
        weights = {df: 1.0}
        notes.append(boundary_hint(smaller[1].design, larger[1].design))
    statistic = 2.0 * (rows[1].log_likelihood - rows[0].log_likelihood)
    problem = _not_comparable(smaller[1], larger[1]) or _no_test(statistic, df)
    notes += [problem, *(_certificate_note(name, fit) for name, fit in (smaller, larger))]
    notes += [_laplace_note(name, fit) for name, fit in (smaller, larger)]
    texts = tuple(note for note in notes if note)
    if problem:
        return Comparison(rows[0], rows[1], None, None, None, {}, texts)
    statistic = max(statistic, 0.0)
    return Comparison(rows[0], rows[1], statistic, df, mixture_tail(statistic, weights), weights, texts)


def row_of(name: str, fit: FittedModel, n: float, family: str) -> Row:
    """One fit as a row of a comparison: ``n`` is what its BIC counts, ``family`` the end of its formula."""
    given = {"": "fixed", " ": "random", " zero part ": "zi_fixed", "  ": "zi_random", " dispersion ": "dispersion"}
    texts = {label: getattr(fit.request, name) for label, name in given.items()}
    formula = ",".join(f"{label}{text}" for label, text in texts.items() if text is not None)
    return Row(name, formula + family, aic(fit), bic(fit, n), fit.log_likelihood, n_parameters(fit))


def check_unpenalised(name: str, fit: FittedModel) -> None:
    """Refuse a penalised fit.

    Raises
    ------
    ArgumentError
    """
    if fit.problem.penalty is not None:
        raise ArgumentError(
            f"{name} is a penalised fit: the log-likelihood at its estimates is no maximum, and the ratio of two "
            f"such numbers has no chi-square distribution. Refit it with {name}.update(penalized=False)."
        )


def check_same_data(first: tuple[str, FittedModel], second: tuple[str, FittedModel]) -> None:
    """Refuse two fits, with their names, of different rows, outcomes, clusters or weights.

    Raises
    ------
    ArgumentError
    """
    (name0, fit0), (name1, fit1) = first, second
    a, b = fit0.design, fit1.design
    advice = "Fit both models to the same rows; drop the rows with missing values in any variable of either model first."
    if len(a.row_labels) != len(b.row_labels):
        raise ArgumentError(f"{name0} uses {len(a.row_labels)} rows and {name1} uses {len(b.row_labels)}. {advice}")
    if outcome_digest(a) != outcome_digest(b):
        raise ArgumentError(f"{name0} ({a.outcome_name}) and {name1} ({b.outcome_name}) have different outcomes. {advice}")
    if a.group_name and b.group_name and not (a.group_name == b.group_name and a.groups.equals(b.groups)):
        raise ArgumentError(f"{name0} (by {a.group_name!r}) and {name1} (by {b.group_name!r}) have different clusters. {advice}")
    if fit0.request.correction != fit1.request.correction and a.factors and b.factors:
        raise ArgumentError(
            f"{name0} has correction={fit0.request.correction!r} and {name1} has correction={fit1.request.correction!r}: one "
            "log-likelihood holds the error of Laplace's method and the other does not. Fit both the same way."
        )
    if weights_digest(a) != weights_digest(b):
        raise ArgumentError(f"{name0} and {name1} have different cluster weights; likelihoods with different weights cannot be compared.")


def _bic_note(smaller: FittedModel, larger: FittedModel, n: float) -> str:
    differ = (smaller.design.group_name is None) != (larger.design.group_name is None)
    return f"BIC counts the {n} clusters in both rows." if differ else ""


def _certificate_note(name: str, fit: FittedModel) -> str:
    return "" if fit.convergence.has_converged else f"{name} did not converge, and its log-likelihood may be too low."


def _laplace_note(name: str, fit: FittedModel) -> str:
    """What the error of a log-likelihood by Laplace's method is."""
    error = fit.convergence.laplace_error
    if error is None or fit.request.correction is not None:
        return ""
    size = f"about {error.value:.2f}" if error.is_reliable else "an amount that its importance sample cannot tell"
    return f"The log-likelihood of {name} is by Laplace's method, and off by {size}; correction='importance' takes that out."


def _not_comparable(smaller: FittedModel, larger: FittedModel) -> str:
    """The reason why the two fits allow no test; empty when they do.

    The smaller model may be no special case of the larger one, or its log-likelihood may be another kind of number.
    """
    # a dispersion may be a constant in one fit and have a predictor in the other
    if smaller.problem.family.plain != larger.problem.family.plain and not n_limits(smaller, larger):
        return f"No test: the families or links differ ({family_text(smaller)} and {family_text(larger)}), so the models are not nested."
    with_effects = [fit for fit in (smaller, larger) if fit.design.random_names]
    if len({fit.request.random_effects_law for fit in with_effects}) > 1:
        return (
            f"No test: the laws of the random effects differ ({smaller.problem.prior.text} and {larger.problem.prior.text}), so the models "
            "are not nested; compare their AIC."
        )
    if len({fit.quadrature for fit in with_effects}) > 1 and not all(map(_is_settled, with_effects)):
        if smaller.design.factors or larger.design.factors:
            return (
                "No test: one log-likelihood is by Laplace's method, and the other by quadrature. Refit the model of crossed factors with "
                "correction='importance', or the other with n_agq=1."
            )
        return (
            f"No test: the log-likelihoods are by {smaller.n_agq} and {larger.n_agq} points, and differ by the "
            "rules too. Refit without n_agq, so that both are by rules that have settled."
        )
    if smaller.design.is_streamed or larger.design.is_streamed:
        if not set(smaller.design.fixed_names) <= set(larger.design.fixed_names):
            return "No test: the rows of a stream are not kept, and by their names the fixed effects are not nested."
    elif any(not _is_spanned(*columns) for columns in _columns_by_predictor(smaller, larger)):
        return "No test: the models are not nested, because the fixed effects of the smaller one are no part of those of the larger one."
    if not set(compared_names(smaller.design, larger.design)) <= set(compared_names(larger.design, smaller.design)):
        return "No test: the models are not nested, because the smaller one has random effects that the larger one lacks."
    return ""


def _is_settled(fit: FittedModel) -> bool:
    """Whether the log-likelihood is that of the integral, up to a tolerance that no test feels."""
    if fit.request.correction is not None:
        return fit.convergence.has_converged
    return abs(fit.convergence.quadrature_error) < fit.options.quadrature_tolerance


def family_text(fit: FittedModel) -> str:
    """Family and link, such as ``binomial(logit)``."""
    return f"{fit.problem.family.name}({fit.problem.family.link.name})"


def _columns_by_predictor(smaller: FittedModel, larger: FittedModel) -> list[tuple[np.ndarray, np.ndarray]]:
    """Columns of both models for each predictor that one of them has; a constant extra parameter is an intercept."""
    a, b = (_fixed_columns(fit.design) for fit in (smaller, larger))
    one = np.ones((len(smaller.design.row_labels), 1))
    return [(a.get(kind, one), b.get(kind, one)) for kind in {**a, **b}]


def _fixed_columns(design: Design) -> dict[str, np.ndarray]:
    """(n, p) columns of each predictor in the caller's row order; an ordinal outcome has its thresholds beside them."""
    buckets = design.clusters.buckets
    return {kind: to_caller_order(design, [bucket.X[e] for bucket in buckets]).T for e, kind in enumerate(design.formula.right_sides)}


def _is_spanned(columns: np.ndarray, by: np.ndarray) -> bool:
    """Whether every column is a linear combination of the columns of ``by``."""
    basis = np.linalg.qr(by)[0]
    rest = columns - basis @ (basis.T @ columns)
    return bool(np.all(np.linalg.norm(rest, axis=0) <= 1e-7 * np.linalg.norm(columns, axis=0)))


def _no_test(statistic: float, df: int) -> str:
    if not math.isfinite(statistic):
        return "No test: a log-likelihood is not finite."
    if df == 0:
        return "No test: both models have the same number of parameters."
    if statistic < -LRT_SLACK:
        return "No test: the larger model has the lower log-likelihood; the models are not nested, or a fit is not at its maximum."
    return ""
