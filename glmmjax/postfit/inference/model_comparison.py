"""Comparison of any number of fits: information criteria of all, and a likelihood-ratio test of each against the one before it."""

from __future__ import annotations

import dataclasses

from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.anova import Comparison, Row, check_unpenalised, compare, family_text, row_of
from glmmjax.postfit.inference.information_criteria import n_groups, n_parameters, n_rows, n_units

__all__ = ["ModelTable", "compare_all"]


@dataclasses.dataclass(frozen=True)
class ModelTable:
    """Fits with ascending numbers of parameters.

    Attributes
    ----------
    rows : one for each fit
    n_rows : rows that each fit uses
    n_clusters : clusters of each fit; None without random effects
    tests : the comparison of each fit with the one before it; None for the first, and where the fits use other rows
    notes : sentences below the table
    """

    rows: tuple[Row, ...]
    n_rows: tuple[int, ...]
    n_clusters: tuple[int | None, ...]
    tests: tuple[Comparison | None, ...]
    notes: tuple[str, ...]

    @property
    def uses_one_table(self) -> bool:
        """Whether all fits use as many rows."""
        return len(set(self.n_rows)) == 1


def compare_all(fits: list[FittedModel], names: list[str], boundary: bool = False) -> ModelTable:
    """Compare fits of the same outcome, which the table calls by their ``names``.

    Raises
    ------
    ArgumentError
        For a penalised fit, and, among fits of as many rows, for other outcomes, clusters or weights.
    """
    for name, fit in zip(names, fits, strict=True):
        check_unpenalised(name, fit)
    pairs = sorted(zip(names, fits, strict=True), key=lambda pair: n_parameters(pair[1]))
    grouped = [fit for _, fit in pairs if fit.design.group_name is not None]
    has_one_family = len({family_text(fit) for fit in fits}) == 1
    # BIC counts clusters, in the rows without random effects too where the others have some
    counts = [n_units(fit if fit.design.group_name is not None or not grouped else grouped[0]) for _, fit in pairs]
    rows = [row_of(name, fit, n, "" if has_one_family else f", {family_text(fit)}") for (name, fit), n in zip(pairs, counts, strict=True)]
    used = tuple(n_rows(fit) for _, fit in pairs)
    tests: list[Comparison | None] = [None]
    for k in range(1, len(pairs)):
        (before, smaller), (name, larger) = pairs[k - 1], pairs[k]
        tests.append(compare(smaller, larger, boundary, (before, name)) if used[k] == used[k - 1] else None)
    clusters = tuple(n_groups(fit) if fit.design.group_name is not None else None for _, fit in pairs)
    return ModelTable(tuple(rows), used, clusters, tuple(tests), _notes(pairs, tests, used))


def _notes(pairs: list[tuple[str, FittedModel]], tests: list[Comparison | None], used: tuple[int, ...]) -> tuple[str, ...]:
    notes = []
    if len(set(used)) > 1:
        counts = ", ".join(f"{name} {n}" for (name, _), n in zip(pairs, used, strict=True))
        notes.append(
            f"The fits use different numbers of rows ({counts}), so that their log-likelihoods, AIC and BIC cannot be compared: drop the "
            "rows with missing values in any variable of any model first, and fit all models to the rest."
        )
    for k, test in enumerate(tests):
        if test is not None:
            about = "" if len(pairs) == 2 else f"{pairs[k - 1][0]} and {pairs[k][0]}: "
            notes += [f"{about}{note}" for note in test.notes]
    return tuple(dict.fromkeys(notes))
