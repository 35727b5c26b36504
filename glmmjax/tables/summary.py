"""The summary of a fit, in the order in which GLMMadaptive prints it, with the certificate and the quadrature error."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.levels import level_names
from glmmjax.estimation.convergence import Convergence, LaplaceError
from glmmjax.estimation.family_limits import limit_parts
from glmmjax.families.base import Family
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.quadrature import IMPORTANCE, TRAPEZOID
from glmmjax.options import Options, StudentTPenalty
from glmmjax.postfit.inference.information_criteria import n_groups, n_rows
from glmmjax.postfit.uncertainty.random_covariance import LostEffect, lost_effects, spread
from glmmjax.request import FitRequest
from glmmjax.tables.frames import coefficient_frame, correlation_pairs, phi_frame, spread_frame, statistics_frame
from glmmjax.tables.page import Summary
from glmmjax.tables.text import UNDEFINED, Section, coefficient_texts, number_texts

__all__ = ["one_line", "summary"]

_SINGULAR_NOTE = "On this boundary StdDev and Corr have no standard errors, and those of the fixed effects hold for a matrix of this rank."


def summary(fitted: FittedModel) -> Summary:
    """The summary of a fit, on one page."""
    parts = [
        ("fit statistics", statistics_frame(fitted), _statistics_section),
        ("random effects", spread_frame(fitted), _random_section),
        ("fixed effects", coefficient_frame(fitted), _fixed_section),
        ("zero part", coefficient_frame(fitted, "zero"), _zero_section),
        ("dispersion", coefficient_frame(fitted, "dispersion"), _dispersion_section),
        ("phi", phi_frame(fitted), _phi_section),
    ]
    present = [(name, frame, section(fitted, frame)) for name, frame, section in parts if len(frame)]
    head = (Section("Call", (_call_text(fitted.request),)), _data_section(fitted), _model_section(fitted))
    tail = (_integration_section(fitted),) if fitted.design.random_names else ()
    sections = (*head, *(section for _, _, section in present), *tail, _optimization_section(fitted))
    return Summary(sections, {name: frame for name, frame, _ in present})


def one_line(fitted: FittedModel) -> str:
    """A fit in one line, for ``repr``."""
    family, outcome = fitted.problem.family, "converged" if fitted.convergence.has_converged else "NOT CONVERGED"
    formula = ", ".join(text for text in (fitted.request.fixed, fitted.request.random) if text)
    size = f"{n_rows(fitted)} rows" + (f" in {n_groups(fitted)} clusters" if fitted.design.group_name is not None else "")
    return (
        f"<MixedModelResults: {family.name}({family.link.name}), {formula}; {size}, log-likelihood {fitted.log_likelihood:.4f}, {outcome}>"
    )


def _call_text(request: FitRequest) -> str:
    """The call with the arguments that were given; arrays and tables are shortened."""
    shown = [repr(request.fixed)]
    for name, value in ((field.name, getattr(request, field.name)) for field in dataclasses.fields(request)):
        if name == "data":
            shown.append("data=...")
        elif name != "fixed" and not _is_default(value):
            shown.append(f"{name}={_argument_text(value)}")
    return f"mixed_model({', '.join(shown)})"


def _is_default(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, Options) and value == Options())


def _argument_text(value: Any) -> str:
    if isinstance(value, Family):
        return f"{type(value).__name__}(link={value.link.name!r})"
    if isinstance(value, Options):
        changed = {name: chosen for name, chosen in vars(value).items() if chosen != getattr(Options(), name)}
        return f"Options({', '.join(f'{name}={chosen!r}' for name, chosen in changed.items())})"
    return repr(value) if isinstance(value, str | int | float | StudentTPenalty | Prior) else "..."


def _data_section(fitted: FittedModel) -> Section:
    design = fitted.design
    lines = [f"Number of Observations: {n_rows(fitted)}"]
    if design.group_name is not None:
        lines.append(f"Number of Groups: {n_groups(fitted)} ({design.group_name}, {_range(design.cluster_sizes)} rows each)")
    lines += [f"Number of Levels: {len(factor.labels)} ({factor.name}, {_range(factor.sizes)} rows each)" for factor in design.factors]
    if design.lower is not None:
        lines.append(f"Number of Groups inside: {len(design.units)} ({level_names(design)[1]}, {_range(design.lower.sizes)} rows each)")
    if design.n_dropped:
        lines.append(f"Rows dropped for missing values: {design.n_dropped}")
    if design.success_level is not None:
        lines.append(f"Success: {design.outcome_name} = {design.success_level}")
    return Section("Data Descriptives", tuple(lines))


def _range(sizes: np.ndarray) -> str:
    smallest, largest = int(min(sizes)), int(max(sizes))
    return f"{smallest}" if smallest == largest else f"{smallest} to {largest}"


def _model_section(fitted: FittedModel) -> Section:
    family, penalty = fitted.problem.family, fitted.problem.penalty
    law = fitted.request.random_effects_law
    of_law = [f"random effects: {law.text}, with the covariance matrix below"] if law else []
    return Section(
        "Model", (f"family: {family.name}", f"link: {family.link.name}", *of_law, *([_penalty_text(penalty)] if penalty else []))
    )


def _penalty_text(penalty: StudentTPenalty) -> str:
    settings = f"mean {penalty.mean:g}, scale {penalty.scale:g}, df {penalty.df:g}"
    if penalty.joint:
        return f"penalty: joint Student's t ({settings}) on all fixed effects"
    which = "all fixed effects" if penalty.include_intercept else "all fixed effects but the intercept"
    return f"penalty: Student's t ({settings}) on {which}"


def _statistics_section(fitted: FittedModel, frame: pd.DataFrame) -> Section:
    notes: tuple[str, ...] = ()
    if fitted.problem.penalty is not None:
        notes = (f"penalised objective: {fitted.objective:.4f} (what was maximised; log.Lik, AIC and BIC are without the penalty)",)
    counts = fitted.design.row_weights
    if counts is not None:
        notes = (*notes, f"row weights: {len(counts)} rows stand for {counts.sum():g}")
    return Section("Fit statistics", (), frame.map(lambda value: f"{value:.4f}"), notes)


def _random_section(fitted: FittedModel, numbers: pd.DataFrame) -> Section:
    """Section with the standard deviations in a column and the correlations to their right; standard errors are in brackets."""
    names, q = fitted.design.random_names, len(fitted.design.random_names)
    without_variance = [f"sd({names[lost.effect]})" for lost in lost_effects(fitted) if fitted.is_singular and not lost.given]
    texts = number_texts(numbers.assign(estimate=numbers["estimate"].where(~numbers.index.isin(without_variance), 0.0)))
    frame = pd.DataFrame({"StdDev": list(texts["Estimate"][:q])}, index=list(names))
    if not fitted.is_singular:
        frame["Std.Err"] = list(texts["Std.Err"][:q])
    cells = np.full((q, q), "", dtype=object)
    for pair, (estimate, error) in zip(correlation_pairs(fitted), texts.iloc[q:].to_numpy(), strict=True):
        cells[pair] = estimate if fitted.is_singular else f"{estimate} ({error})"
    used = [c for c in range(q) if any(column == c for _, column in correlation_pairs(fitted))]
    cells[0, used] = [names[c] for c in used]
    headers = ["Corr" if k == 0 else " " * k for k in range(len(used))]
    frame = pd.concat([frame, pd.DataFrame(cells[:, used], index=frame.index, columns=headers)], axis=1)
    return Section("Random effects covariance matrix", (), frame, _singular_notes(fitted))


def _singular_notes(fitted: FittedModel) -> tuple[str, ...]:
    if not fitted.is_singular:
        return ()
    reasons = "; ".join(_lost_text(fitted, lost) for lost in lost_effects(fitted))
    notes = (f"The matrix is singular: {reasons}.", _SINGULAR_NOTE)
    if not fitted.rule.is_exact or abs(fitted.convergence.quadrature_error) < fitted.options.quadrature_tolerance:
        return notes
    return (*notes, f"The rule of {fitted.n_agq} points is not settled here and may have made it so: leave n_agq out.")


def _lost_text(fitted: FittedModel, lost: LostEffect) -> str:
    names = fitted.design.random_names
    if not lost.given:
        return f"{names[lost.effect]} has no variance"
    if len(lost.given) == 1:
        sign = np.sign(spread(fitted).correlations[lost.effect, lost.given[0]])
        return f"the correlation of {names[lost.given[0]]} and {names[lost.effect]} is {sign:.0f}"
    return f"{names[lost.effect]} is a linear combination of {', '.join(names[k] for k in lost.given)}"


def _fixed_section(fitted: FittedModel, frame: pd.DataFrame) -> Section:
    notes: tuple[str, ...] = ()
    if frame["std_error"].isna().any():
        notes = (f"{UNDEFINED}: not defined, because the Hessian is not negative definite there",)
    title = "Fixed effects" if fitted.problem.penalty is None else "Fixed effects (penalised)"
    return Section(title, (), coefficient_texts(frame), notes)


def _phi_section(fitted: FittedModel, frame: pd.DataFrame) -> Section:
    title = "Thresholds" if fitted.problem.family.is_ordinal else "Extra parameters"
    texts = number_texts(frame)
    texts["Estimate"] = texts["Estimate"].where(~np.isinf(frame["estimate"]), "inf")
    return Section(title, (), texts, _limit_notes(fitted, fitted.problem.layout.extra))


def _dispersion_section(fitted: FittedModel, frame: pd.DataFrame) -> Section:
    title = f"Effects on the {fitted.problem.family.plain.phi_names[0]} (free scale)"
    return Section(title, (), coefficient_texts(frame), _limit_notes(fitted, fitted.problem.layout.dispersion))


def _zero_section(fitted: FittedModel, frame: pd.DataFrame) -> Section:
    return Section("Zero part", (), coefficient_texts(frame), _limit_notes(fitted, fitted.problem.layout.zero))


def _limit_notes(fitted: FittedModel, part: slice) -> tuple[str, ...]:
    """What it means that estimates of this part of theta are at a limit of the family."""
    at = fitted.convergence.limits
    found = [limit.text for where, limit in limit_parts(fitted.problem) if where.start in at and part.start <= where.start < part.stop]
    return tuple(f"At its limit, without standard error; {text}." for text in found)


def _integration_section(fitted: FittedModel) -> Section:
    if fitted.convergence.laplace_error is not None:
        return _laplace_section(fitted, fitted.convergence.laplace_error)
    convergence, q, is_exact = fitted.convergence, len(fitted.design.random_names), fitted.rule.is_exact
    error, tolerance = convergence.quadrature_error, fitted.options.quadrature_tolerance
    lines = (
        f"method: {convergence.method}" + (" (Laplace's method)" if fitted.n_agq == 1 else ""),
        f"quadrature points: {fitted.n_agq}" + (f" per random effect, {fitted.n_agq**q} in all" if q > 1 else ""),
        f"quadrature error: {error:.1e} ({_judges_text(convergence)})",
        *([] if abs(error) < tolerance or not is_exact else [f"without n_agq, finer rules are taken until it is below {tolerance:.0e}"]),
    )
    return Section("Integration", lines)


def _laplace_section(fitted: FittedModel, error: LaplaceError) -> Section:
    """Of crossed factors: the method, and the error of Laplace's."""
    is_corrected = fitted.convergence.method == IMPORTANCE
    lines = (
        f"method: {fitted.convergence.method}",
        f"error of Laplace's method: {error.value:.3f} in log.Lik{', which is taken out' if is_corrected else ''} "
        f"(Monte Carlo standard error {error.std_error:.1g}; {error.n_draws} draws, worth {error.effective_draws:.0f})",
        *([] if error.is_reliable else [_too_few(is_corrected)]),
    )
    return Section("Integration", lines)


def _too_few(is_corrected: bool) -> str:
    how = "; take more, options=Options(n_draws=10_000)" if is_corrected else ""
    return f"The draws are worth too few to trust this number{how}."


def _judges_text(convergence: Convergence) -> str:
    if convergence.method == TRAPEZOID:
        return f"changes of log.Lik with smaller steps and with wider bounds, {convergence.finer_n_agq} points"
    return f"change of log.Lik with {convergence.finer_n_agq} points"


def _optimization_section(fitted: FittedModel) -> Section:
    found, certificate = fitted.convergence, fitted.options.certificate
    counts = (("EM", found.n_em), ("quasi-Newton", found.n_quasi_newton), ("Newton", found.n_newton))
    lines = (
        f"converged: {found.has_converged}",
        found.message,
        f"Newton decrement: {found.newton_decrement:.1e} (gain in log.Lik that is left; a maximum has less than {certificate:.0e})",
        "evaluations: " + ", ".join(f"{name} {count}" for name, count in counts if count),
        *([f"device: {found.device}"] if found.device and not found.device.isalpha() else []),  # a plain name is nothing to report
    )
    return Section("Optimization", lines)
