"""Comparison of two nested fits by the likelihood ratio, AIC and BIC.

When the smaller model sets a variance to 0, or a parameter of the family to its limit (Poisson for negative binomial), that null
hypothesis lies on the boundary of the parameter space, and the statistic follows a mixture of chi-square distributions (Self and Liang
1987, JASA 82, 605-610; Stram and Lee 1994, Biometrics 50, 1171-1177). The weights of several limits depend on how the data tell them
apart; those of odd and of even degrees of freedom are 1/2 each (Silvapulle and Sen 2005, Constrained Statistical Inference, section 3.4),
so the mixture of the two largest has the largest tail.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from glmmjax.design.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.estimation.family_limits import limit_parts
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.data_digests import outcome_digest, weights_digest
from glmmjax.postfit.inference.information_criteria import aic, bic, n_groups, n_parameters
from glmmjax.postfit.prediction.rows import to_caller_order
from glmmjax.postfit.uncertainty.p_values import mixture_tail

__all__ = ["Comparison", "Row", "compare"]

_LRT_SLACK = 1e-3  # certificate and quadrature error can put a larger model this far below the smaller one
_LIMIT_NOTES = {
    1: "The smaller model sets one parameter of the family to its limit, on the boundary: the p-value is that of the mixture "
    "1/2 chi2(df - 1) + 1/2 chi2(df) (Self & Liang 1987).",
    2: "The smaller model sets two parameters of the family to their limits, on the boundary: the p-value is that of the mixture "
    "1/2 chi2(df - 1) + 1/2 chi2(df), which bounds it from above (Self & Liang 1987).",
}
_USE_PLAIN = "Use boundary=False for the plain chi-square test, which is conservative when variances are added."


@dataclasses.dataclass(frozen=True)
class Row:
    """One fit of a comparison.

    Attributes
    ----------
    name : "fit0" or "fit1", as passed
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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two fits, the smaller first, and the test of the smaller against the larger; None where there is no test.

    Attributes
    ----------
    smaller : the fit with fewer parameters
    larger : the fit with more parameters
    statistic : likelihood ratio, twice the difference of the log-likelihoods
    df : difference of the numbers of parameters
    p_value : from the mixture of chi-square distributions
    weights : df -> weight in the mixture that the p-value comes from; {df: 1.0} for a plain chi-square
    notes : sentences below the table
    """

    smaller: Row
    larger: Row
    statistic: float | None
    df: int | None
    p_value: float | None
    weights: dict[int, float]
    notes: tuple[str, ...]


def compare(fit0: FittedModel, fit1: FittedModel, boundary: bool = False) -> Comparison:
    """Compare two fits of the same data.

    Raises
    ------
    ArgumentError
        For fits of different data, a penalised fit, and a ``boundary`` test that no known mixture covers.
    """
    for name, fit in (("fit0", fit0), ("fit1", fit1)):
        _check_unpenalised(name, fit)
    _check_same_data(fit0, fit1)
    smaller, larger = sorted((("fit0", fit0), ("fit1", fit1)), key=lambda pair: n_parameters(pair[1]))
    n = n_groups(fit0 if fit0.design.group_name is not None else fit1)
    has_one_family = _family_text(fit0) == _family_text(fit1)
    rows = [_row(name, fit, n, "" if has_one_family else f", {_family_text(fit)}") for name, fit in (smaller, larger)]
    df = rows[1].n_parameters - rows[0].n_parameters
    notes = [_bic_note(smaller[1], larger[1], n)]
    n_limits = _n_limits(smaller[1], larger[1])
    if n_limits:
        weights = {df - 1: 0.5, df: 0.5}
        notes.append(_LIMIT_NOTES[n_limits])
    elif boundary:
        weights = _mixture(smaller[1], larger[1])
        notes.append(_mixture_note(weights))
    else:
        weights = {df: 1.0}
        notes.append(_boundary_hint(smaller[1].design, larger[1].design))
    statistic = 2.0 * (rows[1].log_likelihood - rows[0].log_likelihood)
    problem = _not_comparable(smaller[1], larger[1]) or _no_test(statistic, df)
    notes += [problem, *(_certificate_note(name, fit) for name, fit in (smaller, larger))]
    texts = tuple(note for note in notes if note)
    if problem:
        return Comparison(rows[0], rows[1], None, None, None, {}, texts)
    statistic = max(statistic, 0.0)
    return Comparison(rows[0], rows[1], statistic, df, mixture_tail(statistic, weights), weights, texts)


def _row(name: str, fit: FittedModel, n: int, family: str) -> Row:
    given = {"": "fixed", " ": "random", " zero part ": "zi_fixed", "  ": "zi_random", " dispersion ": "dispersion"}
    texts = {label: getattr(fit.request, name) for label, name in given.items()}
    formula = ",".join(f"{label}{text}" for label, text in texts.items() if text is not None)
    return Row(name, formula + family, aic(fit), bic(fit, n), fit.log_likelihood, n_parameters(fit))


def _check_unpenalised(name: str, fit: FittedModel) -> None:
    if fit.problem.penalty is not None:
        raise ArgumentError(
            f"{name} is a penalised fit: the log-likelihood at its estimates is no maximum, and the ratio of two "
            f"such numbers has no chi-square distribution. Refit it with {name}.update(penalized=False)."
        )


def _check_same_data(fit0: FittedModel, fit1: FittedModel) -> None:
    a, b = fit0.design, fit1.design
    advice = "Fit both models to the same rows; drop the rows with missing values in any variable of either model first."
    if len(a.row_labels) != len(b.row_labels):
        raise ArgumentError(f"fit0 uses {len(a.row_labels)} rows and fit1 uses {len(b.row_labels)}. {advice}")
    if outcome_digest(a) != outcome_digest(b):
        raise ArgumentError(f"fit0 ({a.outcome_name}) and fit1 ({b.outcome_name}) have different outcomes. {advice}")
    if a.group_name and b.group_name and not (a.group_name == b.group_name and a.groups.equals(b.groups)):
        raise ArgumentError(f"fit0 (by {a.group_name!r}) and fit1 (by {b.group_name!r}) have different clusters. {advice}")
    if weights_digest(a) != weights_digest(b):
        raise ArgumentError("fit0 and fit1 have different cluster weights; likelihoods with different weights cannot be compared.")


def _bic_note(smaller: FittedModel, larger: FittedModel, n: int) -> str:
    differ = (smaller.design.group_name is None) != (larger.design.group_name is None)
    return f"BIC counts the {n} clusters in both rows." if differ else ""


def _certificate_note(name: str, fit: FittedModel) -> str:
    return "" if fit.convergence.has_converged else f"{name} did not converge, and its log-likelihood may be too low."


def _not_comparable(smaller: FittedModel, larger: FittedModel) -> str:
    """The reason why the two fits allow no test; empty when they do.

    The smaller model may be no special case of the larger one, or its log-likelihood may be another kind of number.
    """
    # a dispersion may be a constant in one fit and have a predictor in the other
    if smaller.problem.family.plain != larger.problem.family.plain and not _n_limits(smaller, larger):
        return f"No test: the families or links differ ({_family_text(smaller)} and {_family_text(larger)}), so the models are not nested."
    with_effects = [fit for fit in (smaller, larger) if fit.design.random_names]
    if len({fit.quadrature for fit in with_effects}) > 1 and not all(map(_is_settled, with_effects)):
        return (
            f"No test: the log-likelihoods are by {smaller.n_agq} and {larger.n_agq} points, and differ by the "
            "rules too. Refit without n_agq, so that both are by rules that have settled."
        )
    if smaller.design.is_streamed or larger.design.is_streamed:
        if not set(smaller.design.fixed_names) <= set(larger.design.fixed_names):
            return "No test: the rows of a stream are not kept, and by their names the fixed effects are not nested."
    elif any(not _is_spanned(*columns) for columns in _columns_by_predictor(smaller, larger)):
        return "No test: the models are not nested, because the fixed effects of the smaller one are no part of those of the larger one."
    if not set(smaller.design.random_names) <= set(larger.design.random_names):
        return "No test: the models are not nested, because the smaller one has random effects that the larger one lacks."
    return ""


def _n_limits(smaller: FittedModel, larger: FittedModel) -> int:
    """How many extra parameters, or constant predictors of them, the smaller model has at their limit in the family of the larger one.

    0 where it is not the larger one at limits, or where they differ in their random effects, so that another parameter lies on a boundary.
    """
    same_effects = smaller.design.random_names == larger.design.random_names and smaller.design.covariance == larger.design.covariance
    if not same_effects or smaller.is_singular:
        return 0
    ways = [limit for where, limit in limit_parts(larger.problem) if where.stop - where.start == 1]
    if any(limit.family == smaller.problem.family for limit in ways):
        return 1
    # a zero part and an extra parameter: the limit of one in the family that the other leaves
    second = [limit for first in ways for limit in (*first.family.phi_limits, *first.family.predictor_limits) if limit is not None]
    is_second = any(limit.family == smaller.problem.family for limit in second) and len(ways) == len(limit_parts(larger.problem)) > 1
    return 2 if is_second else 0


def _is_settled(fit: FittedModel) -> bool:
    """Whether the log-likelihood is that of the integral, up to a tolerance that no test feels."""
    return abs(fit.convergence.quadrature_error) < fit.options.quadrature_tolerance


def _family_text(fit: FittedModel) -> str:
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
    if statistic < -_LRT_SLACK:
        return "No test: the larger model has the lower log-likelihood; the models are not nested, or a fit is not at its maximum."
    return ""


# random effects by name: the blocks of D, each a set of names

Blocks = list[frozenset[str]]


def _blocks(design: Design) -> Blocks:
    names = iter(design.random_names)
    return [frozenset(next(names) for _ in range(size)) for size in design.covariance.block_sizes]


def _boundary_hint(smaller: Design, larger: Design) -> str:
    added = set(larger.random_names) - set(smaller.random_names)
    if not added or set(smaller.random_names) - set(larger.random_names):
        return ""
    return (
        f"The smaller model sets the variance of {', '.join(sorted(added))} to 0, on the boundary, where this chi-square p-value is too "
        "large; see boundary=True."
    )


def _mixture(smaller: FittedModel, larger: FittedModel) -> dict[int, float]:
    """Degrees of freedom -> weight for the added random effects.

    One block of D that grows from r to r + 1 effects: ``1/2 chi2(r) + 1/2 chi2(r + 1)``. k added effects independent of all
    others: ``sum_j 2^-k C(k, j) chi2(j)``.
    """
    _check_mixture_applies(smaller, larger)
    old, new = _blocks(smaller.design), _blocks(larger.design)
    changed, gone = [block for block in new if block not in old], [block for block in old if block not in new]
    if not gone and changed and all(len(block) == 1 for block in changed):
        k = len(changed)
        return {j: math.comb(k, j) / 2.0**k for j in range(k + 1)}
    if len(gone) == len(changed) == 1 and gone[0] < changed[0] and len(changed[0]) == len(gone[0]) + 1:
        r = len(gone[0])
        return {r: 0.5, r + 1: 0.5}
    raise ArgumentError(
        f"boundary=True: the step from random effects {_show(old)} to {_show(new)} is not covered. Covered are one effect more, correlated "
        f"with all effects of its set, and any number of effects more that are independent of all others (||). {_USE_PLAIN}"
    )


def _check_mixture_applies(smaller: FittedModel, larger: FittedModel) -> None:
    a, b = smaller.design, larger.design
    if a.covariance.entries is None or b.covariance.entries is None:
        raise ArgumentError(
            f"boundary=True is for unstructured and diagonal covariance matrices, not for covariance='ar1' and the like. {_USE_PLAIN}"
        )
    names = [(d.fixed_names, d.zi_fixed_names, d.dispersion_names) for d in (a, b)]
    same_mean = names[0] == names[1] and smaller.problem.family == larger.problem.family
    if not same_mean:
        raise ArgumentError(
            "boundary=True compares models that differ in their random effects only, and these differ in their fixed effects or family "
            f"too. Compare in two steps. {_USE_PLAIN}"
        )
    if not set(a.random_names) < set(b.random_names):
        raise ArgumentError(
            f"boundary=True: from random effects {_show(_blocks(a))} to {_show(_blocks(b))} no variance is added, so no null hypothesis "
            "lies on the boundary (a covariance of 0 lies inside). Use boundary=False."
        )
    if smaller.is_singular:
        raise ArgumentError(
            "boundary=True: the smaller model is itself singular, and the mixture holds only when all its parameters lie inside the "
            f"parameter space. Leave out the random effect that has no variance. {_USE_PLAIN}"
        )


def _mixture_note(weights: dict[int, float]) -> str:
    mixture = " + ".join(f"{weight:g} chi2({df})" for df, weight in weights.items())
    independent = ", and the estimates of the added variances are uncorrelated" if len(weights) > 2 else ""
    return (
        f"The p-value is that of the mixture {mixture} (Self & Liang 1987; Stram & Lee 1994): it applies when the added variances are 0, "
        f"on the boundary, while all other parameters lie inside the parameter space{independent}."
    )


def _show(blocks: Blocks) -> str:
    return " + ".join("(" + ", ".join(sorted(block)) + ")" for block in blocks) or "none"
