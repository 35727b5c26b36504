"""Reference distributions of likelihood ratios whose null hypothesis lies on the boundary of the parameter space.

When the smaller model sets a variance to 0, or is the larger one at a limit of its family, the statistic follows a mixture of chi-square
distributions (Self and Liang 1987, JASA 82, 605-610; Stram and Lee 1994, Biometrics 50, 1171-1177).
"""

from __future__ import annotations

import math

from glmmjax.design.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.information_criteria import n_parameters

__all__ = ["boundary_hints", "family_text", "mixture", "mixture_note"]

_USE_PLAIN = "Use boundary=False for the plain chi-square test, which is conservative when variances are added."

Blocks = list[frozenset[str]]  # random effects by name: the blocks of D, each a set of names


def family_text(fit: FittedModel) -> str:
    """The family and link of a fit."""
    return f"{fit.problem.family.name}({fit.problem.family.link.name})"


def _blocks(design: Design) -> Blocks:
    names = iter(design.random_names)
    return [frozenset(next(names) for _ in range(size)) for size in design.covariance.block_sizes]


def _is_at_limit(smaller: FittedModel, larger: FittedModel) -> bool:
    return larger.problem.family.plain.has_limit(smaller.problem.family.plain)


def boundary_hints(smaller: FittedModel, larger: FittedModel) -> list[str]:
    """What is said where a plain chi-square test is made and the smaller model lies on the boundary."""
    return [_family_hint(smaller, larger), _variance_hint(smaller.design, larger.design)]


def _family_hint(smaller: FittedModel, larger: FittedModel) -> str:
    if not _is_at_limit(smaller, larger):
        return ""
    return (
        f"{family_text(smaller)} is {family_text(larger)} at the boundary of its parameter, where this chi-square p-value is too large; "
        "see boundary=True."
    )


def _variance_hint(smaller: Design, larger: Design) -> str:
    added = set(larger.random_names) - set(smaller.random_names)
    if not added or set(smaller.random_names) - set(larger.random_names):
        return ""
    return (
        f"The smaller model sets the variance of {', '.join(sorted(added))} to 0, on the boundary, where this chi-square p-value is too "
        "large; see boundary=True."
    )


def mixture(smaller: FittedModel, larger: FittedModel) -> dict[int, float]:
    """Degrees of freedom -> weight for the added random effects, or for a family with one parameter more.

    One block of D that grows from r to r + 1 effects: ``1/2 chi2(r) + 1/2 chi2(r + 1)``. k added effects independent of all
    others: ``sum_j 2^-k C(k, j) chi2(j)``. A family that is the smaller one at a limit of one parameter: ``1/2 chi2(0) + 1/2 chi2(1)``.
    """
    if _is_at_limit(smaller, larger):
        _check_one_parameter(smaller, larger)
        return {0: 0.5, 1: 0.5}
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


def _check_one_parameter(smaller: FittedModel, larger: FittedModel) -> None:
    """Only the parameter at its limit may differ, and all others must lie inside."""
    a, b = smaller.design, larger.design
    is_same = a.fixed_names == b.fixed_names and a.random_names == b.random_names and _blocks(a) == _blocks(b)
    if not is_same or n_parameters(larger) != n_parameters(smaller) + 1 or smaller.is_singular:
        raise ArgumentError(
            f"boundary=True compares {family_text(smaller)} and {family_text(larger)} where they differ in one parameter of the family, "
            f"with the same fixed and random effects and no singular covariance matrix. Compare in two steps. {_USE_PLAIN}"
        )


def mixture_note(weights: dict[int, float]) -> str:
    """The sentence that names the mixture."""
    mixture = " + ".join(f"{weight:g} chi2({df})" for df, weight in weights.items())
    independent = ", and the estimates of the added variances are uncorrelated" if len(weights) > 2 else ""
    return (
        f"The p-value is that of the mixture {mixture} (Self & Liang 1987; Stram & Lee 1994): it applies when what is added is "
        f"not needed, on the boundary, while all other parameters lie inside the parameter space{independent}."
    )


def _show(blocks: Blocks) -> str:
    return " + ".join("(" + ", ".join(sorted(block)) + ")" for block in blocks) or "none"
