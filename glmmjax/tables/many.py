"""Many fits as labelled tables with a row a fit, or a row a fit and term, and their summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.errors import ArgumentError, StorageError
from glmmjax.estimation.convergence import Code
from glmmjax.fitted_many import FittedMany
from glmmjax.postfit.many.comparisons import Comparisons
from glmmjax.postfit.many.covariances import ReportedMany, random_covariances
from glmmjax.postfit.many.wald_tests import WaldTests
from glmmjax.postfit.uncertainty.adjustment import adjusted
from glmmjax.postfit.uncertainty.p_values import normal_two_sided
from glmmjax.tables.page import Summary
from glmmjax.tables.result_frame import ResultFrame
from glmmjax.tables.text import Section
from glmmjax.tables.tidy import COEFFICIENTS, ROWS
from glmmjax.values import shown

__all__ = [
    "checked_number",
    "code_series",
    "coefficient_frame_of_fits",
    "comparison_frame_of_fits",
    "many_summary",
    "message_series",
    "number_of_fit",
    "one_line_of_many",
    "random_covariance_frame_of_fits",
    "series_of_fits",
    "table_of_fits",
    "test_frame_of_fits",
    "tidy_frame_of_fits",
    "write_parquet",
]


def series_of_fits(many: FittedMany, values: Any, name: str) -> pd.Series:
    """(R,) numbers by the names of the fits."""
    return pd.Series(values, index=many.labels, name=name)


def coefficient_frame_of_fits(many: FittedMany, found: ReportedMany, kind: str, errors: bool = False) -> pd.DataFrame:
    """Estimates of one kind, or their standard errors, a row a fit."""
    parameters = found.parameters
    where = [k for k, one in enumerate(parameters.kinds) if one == kind]
    values = (found.errors if errors else found.estimates)[:, where]
    return ResultFrame(values, index=many.labels, columns=[parameters.names[k] for k in where])


def random_covariance_frame_of_fits(many: FittedMany) -> pd.DataFrame:
    """D, a row a fit and a column a pair of random effects."""
    names, values = many.design.random_names, random_covariances(many)
    columns = pd.MultiIndex.from_tuples([(a, b) for a in names for b in names], names=["effect", "with"])
    return ResultFrame(values.reshape(len(values), -1), index=many.labels, columns=columns)


def code_series(many: FittedMany) -> pd.Series:
    """How each fit ended, by the name of its code."""
    return series_of_fits(many, [Code(int(code)).name for code in many.code], "code")


def message_series(many: FittedMany) -> pd.Series:
    """How each fit ended, in words."""
    return series_of_fits(many, [many.message(k) for k in range(len(many.code))], "message")


def tidy_frame_of_fits(many: FittedMany, found: ReportedMany, effects: str, adjust: str) -> pd.DataFrame:
    """One row a fit and term; see ``ManyFits.tidy``."""
    parameters = found.parameters
    chosen = [k for k, kind in enumerate(parameters.kinds) if effects in (ROWS[kind][0], "all")]
    kinds = [parameters.kinds[k] for k in chosen]
    values, errors = found.estimates[:, chosen], found.errors[:, chosen]
    errors = np.where(many.converged[:, None], errors, np.nan)
    is_tested = np.isin(kinds, COEFFICIENTS)
    statistic = np.where(is_tested, values / errors, np.nan)
    p_value = normal_two_sided(statistic)
    n, size = values.shape
    columns: dict[str, Any] = {
        "fit": many.labels.repeat(size),
        "effect": [ROWS[kind][0] for kind in kinds] * n,
        "component": [ROWS[kind][1] for kind in kinds] * n,
        "term": [parameters.names[k] for k in chosen] * n,
        "estimate": values.ravel(),
        "std.error": errors.ravel(),
        "statistic": statistic.ravel(),
        "p.value": p_value.ravel(),
        "p.adjusted": adjusted(p_value, adjust).ravel(),
        "converged": many.converged.repeat(size),
        "code": code_series(many).to_numpy().repeat(size),
    }
    return ResultFrame(columns)


def test_frame_of_fits(many: FittedMany, tests: WaldTests, adjust: str) -> pd.DataFrame:
    """One test a fit."""
    columns: dict[str, Any] = {text: tests.estimates[:, j] for j, text in enumerate(tests.hypotheses.texts)}
    columns |= {"statistic": tests.statistic, "df": tests.estimates.shape[1], "p_value": tests.p_value}
    return ResultFrame(columns | {"p_adjusted": adjusted(tests.p_value, adjust)}, index=many.labels)


def comparison_frame_of_fits(many: FittedMany, found: Comparisons, adjust: str) -> pd.DataFrame:
    """One likelihood-ratio test a fit."""
    columns = {"statistic": found.statistic, "df": found.df, "p_value": found.p_value, "p_adjusted": adjusted(found.p_value, adjust)}
    return ResultFrame(columns, index=many.labels)


def table_of_fits(many: FittedMany, found: ReportedMany) -> pd.DataFrame:
    """Everything on one row a fit."""
    labels = found.parameters.labels
    columns: dict[str, Any] = dict(zip(labels, found.estimates.T, strict=True))
    columns |= {f"se({name})": errors for name, errors in zip(labels, found.errors.T, strict=True)}
    columns |= {"log_likelihood": many.log_likelihood, "quadrature_error": many.quadrature_error, "n_agq": many.n_agq}
    columns |= {"nobs": many.nobs, "n_groups": many.n_groups, "n_evaluations": many.n_evaluations, "converged": many.converged}
    return ResultFrame(columns | {"code": code_series(many).to_numpy(), "message": message_series(many).to_numpy()}, index=many.labels)


def number_of_fit(many: FittedMany, name: Any) -> int:
    """The number of a fit from its name, or from its number.

    Raises
    ------
    ArgumentError
        For a name that no fit has, or several.
    """
    is_whole = isinstance(name, int | np.integer) and not isinstance(name, bool)
    try:
        where = np.flatnonzero(many.labels == name) if np.ndim(name) == 0 else np.zeros(0, int)
    except (TypeError, ValueError):
        where = np.zeros(0, int)
    if len(where) == 1:
        return int(where[0])
    if len(where) > 1:
        raise ArgumentError(
            f"{len(where)} fits have the name {shown(name)}: numbers {', '.join(map(str, where[:10]))}. Take one with nth(number)."
        )
    if is_whole and -len(many.labels) <= name < len(many.labels):
        return int(name) % len(many.labels)
    names = ", ".join(map(shown, many.labels[:5])) + (", ..." if len(many.labels) > 5 else "")
    raise ArgumentError(f"{shown(name)} is the name of no fit; there are {len(many.labels):,}: {names}.")


def one_line_of_many(many: FittedMany) -> str:
    """Many fits in one line."""
    family, right_side = many.problem.family, many.request.fixed[many.request.fixed.index("~") :]
    formula = ", ".join(text for text in (right_side, many.request.random) if text)
    moderated = f"; {', '.join(family.phi_names)} moderated" if many.is_moderated else ""
    return f"{len(many.code):,} fits of {family.name}({family.link.name}), {formula}; {int(many.converged.sum()):,} certified{moderated}"


def many_summary(many: FittedMany, found: ReportedMany) -> Summary:
    """How many fits ended how, and how their estimates are spread."""
    n, counts = len(many.code), pd.Series(many.code).value_counts().sort_index()
    ends = ResultFrame(
        {"fits": counts.to_numpy(), "share": counts.to_numpy() / n, "certified": [Code(code).is_certified for code in counts.index]},
        index=[Code(code).name for code in counts.index],
    )
    spread = _spread(found.estimates[many.converged], found.parameters.labels)
    repeated = int(many.labels.duplicated(keep=False).sum())
    lines = [
        one_line_of_many(many) + ".",
        f"{many.seconds:.2f} s, {1e3 * many.seconds / max(n, 1):.2f} ms a fit; {int(many.is_alone.sum()):,} were fitted once more alone.",
        *(["The user has stopped before all were fitted."] if many.is_interrupted else []),
        *([f"{repeated:,} fits share their name with another."] if repeated else []),
    ]
    sections = (
        Section("Many fits", tuple(lines)),
        Section("How they ended", (), ends.map(_cell), _why(many)),
        Section("Estimates of the certified fits", (), spread.map(lambda value: f"{value:.4f}")),
    )
    found_tables = {"ends": ends, "estimates": spread}
    if not many.is_moderated:
        return Summary(sections, found_tables)
    prior = ResultFrame([one[1:] for one in found.priors], index=[one.name for one in found.priors], columns=["mean", "sd", "fits"])
    text = "Normal, on the free scale; the estimates above are moderated by it. Fixed effects and log-likelihoods have no prior."
    return Summary((*sections, Section("Prior over the fits", (text,), prior.map(_cell))), found_tables | {"prior": prior})


def _spread(values: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Quartiles of each parameter."""
    known = ResultFrame(values, columns=list(names))
    with np.errstate(invalid="ignore"):  # of a parameter that is infinite in some fits
        moments = {"mean": known.mean(), "sd": known.std()}
    return ResultFrame({**moments, **{f"{p:.0%}": known.quantile(p) for p in (0.05, 0.5, 0.95)}})


def _cell(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _why(many: FittedMany) -> tuple[str, ...]:
    """The first text of each code without certificate."""
    lost = np.flatnonzero(~many.converged)
    firsts = [lost[many.code[lost] == code][0] for code in np.unique(many.code[lost])]
    return tuple(f"{Code(int(many.code[k])).name}, such as {many.labels[k]!r}: {many.message(k)}" for k in firsts)


def checked_number(many: FittedMany, number: int) -> int:
    """The number of a fit.

    Raises
    ------
    ArgumentError
        Where there are not so many fits.
    """
    if number >= len(many.code):
        raise ArgumentError(f"number={shown(number)} is beyond the last of {len(many.code):,} fits, which are numbered from 0.")
    return int(number)


def write_parquet(many: FittedMany, found: ReportedMany, path: Any) -> None:
    """Write ``table_of_fits`` to a file.

    Raises
    ------
    StorageError
    """
    frame = table_of_fits(many, found)
    frame.index = frame.index.astype(str)
    try:
        frame.to_parquet(path)
    except ImportError:
        raise StorageError("to_parquet needs pyarrow: pip install pyarrow; or take table().to_csv(path).") from None
    except OSError as error:
        raise StorageError(f"path={str(path)!r} cannot be written: {error}.") from None
