"""Reference distributions of likelihood ratios whose null hypothesis lies on the boundary of the parameter space.

When the smaller model sets a variance to 0, or a parameter of the family to its limit (Poisson for negative binomial), that null
hypothesis lies on the boundary of the parameter space, and the statistic follows a mixture of chi-square distributions (Self and Liang
1987, JASA 82, 605-610; Stram and Lee 1994, Biometrics 50, 1171-1177). The weights of several limits depend on how the data tell them
apart; those of odd and of even degrees of freedom are 1/2 each (Silvapulle and Sen 2005, Constrained Statistical Inference, section 3.4),
so the mixture of the two largest has the largest tail.
"""

from __future__ import annotations

import math

from glmmjax.design.design import Design
from glmmjax.design.levels import compared_names
from glmmjax.errors import ArgumentError
from glmmjax.estimation.family_limits import limit_parts
from glmmjax.fitted import FittedModel

__all__ = ["LIMIT_NOTES", "boundary_hint", "mixture", "mixture_note", "n_limits"]

LIMIT_NOTES = {
    1: "The smaller model sets one parameter of the family to its limit, on the boundary: the p-value is that of the mixture "
    "1/2 chi2(df - 1) + 1/2 chi2(df) (Self & Liang 1987).",
    2: "The smaller model sets two parameters of the family to their limits, on the boundary: the p-value is that of the mixture "
    "1/2 chi2(df - 1) + 1/2 chi2(df), which bounds it from above (Self & Liang 1987).",
}
_USE_PLAIN = "Use boundary=False for the plain chi-square test, which is conservative when variances are added."

# random effects by name: the blocks of D, each a set of names

Blocks = list[frozenset[str]]


def n_limits(smaller: FittedModel, larger: FittedModel) -> int:
    """How many extra parameters, or constant predictors of them, the smaller model has at their limit in the family of the larger one.

    0 where it is not the larger one at limits, or where they differ in their random effects, so that another parameter lies on a boundary.
    """
    same_names = compared_names(smaller.design, larger.design) == compared_names(larger.design, smaller.design)
    same_effects = same_names and smaller.design.covariance == larger.design.covariance
    if not same_effects or smaller.is_singular:
        return 0
    ways = [limit for where, limit in limit_parts(larger.problem) if where.stop - where.start == 1]
    if any(limit.family == smaller.problem.family for limit in ways):
        return 1
    # a zero part and an extra parameter: the limit of one in the family that the other leaves
    second = [limit for first in ways for limit in (*first.family.phi_limits, *first.family.predictor_limits) if limit is not None]
    is_second = any(limit.family == smaller.problem.family for limit in second) and len(ways) == len(limit_parts(larger.problem)) > 1
    return 2 if is_second else 0


def _blocks(design: Design, other: Design) -> Blocks:
    names = iter(compared_names(design, other))
    return [frozenset(next(names) for _ in range(size)) for size in design.covariance.block_sizes]


def boundary_hint(smaller: Design, larger: Design) -> str:
    """What is said of a plain chi-square test where variances are added; empty where none is."""
    few, many = set(compared_names(smaller, larger)), set(compared_names(larger, smaller))
    added = many - few
    if not added or few - many:
        return ""
    return (
        f"The smaller model sets the variance of {', '.join(sorted(added))} to 0, on the boundary, where this chi-square p-value is too "
        "large; see boundary=True."
    )


def mixture(smaller: FittedModel, larger: FittedModel) -> dict[int, float]:
    """Degrees of freedom -> weight for the added random effects.

    One block of D that grows from r to r + 1 effects: ``1/2 chi2(r) + 1/2 chi2(r + 1)``. k added effects independent of all
    others: ``sum_j 2^-k C(k, j) chi2(j)``.
    """
    _check_mixture_applies(smaller, larger)
    old, new = _blocks(smaller.design, larger.design), _blocks(larger.design, smaller.design)
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
    if not set(compared_names(a, b)) < set(compared_names(b, a)):
        raise ArgumentError(
            f"boundary=True: from random effects {_show(_blocks(a, b))} to {_show(_blocks(b, a))} no variance is added, so no null "
            "hypothesis lies on the boundary (a covariance of 0 lies inside). Use boundary=False."
        )
    if smaller.is_singular:
        raise ArgumentError(
            "boundary=True: the smaller model is itself singular, and the mixture holds only when all its parameters lie inside the "
            f"parameter space. Leave out the random effect that has no variance. {_USE_PLAIN}"
        )


def mixture_note(weights: dict[int, float]) -> str:
    """The sentence that names the mixture."""
    mixture = " + ".join(f"{weight:g} chi2({df})" for df, weight in weights.items())
    independent = ", and the estimates of the added variances are uncorrelated" if len(weights) > 2 else ""
    return (
        f"The p-value is that of the mixture {mixture} (Self & Liang 1987; Stram & Lee 1994): it applies when the added variances are 0, "
        f"on the boundary, while all other parameters lie inside the parameter space{independent}."
    )


def _show(blocks: Blocks) -> str:
    return " + ".join("(" + ", ".join(sorted(block)) + ")" for block in blocks) or "none"
