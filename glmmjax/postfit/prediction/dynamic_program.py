"""Dynamic predictions as one pure program of arrays, exported for any number of subjects, history rows and future rows.

It is what ``predict(newdata, newdata2, "subject_specific", interval=...)`` computes, with the estimates inside and without formulas. The
random effects of a subject are given its history alone.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export

from glmmjax.design.layout.plain_blocks import bucket_of, plain_shapes
from glmmjax.design.levels import check_one_level
from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.posterior import posterior
from glmmjax.likelihood.rows import integrand
from glmmjax.postfit.prediction.dynamic_predictor import MOST_ROWS_OF_OUTCOMES, DynamicRecord, SubjectRows
from glmmjax.postfit.prediction.predict import IntervalSettings, average_of, request_of
from glmmjax.postfit.prediction.prediction_draws import DrawSettings, ThetaDraws, quantiles_of_blocks
from glmmjax.postfit.prediction.prediction_intervals import has_trials, known_covariance, moments_of_blocks
from glmmjax.postfit.prediction.quantities import interval_link
from glmmjax.postfit.prediction.row_blocks import BlockRows
from glmmjax.postfit.prediction.subjects import posterior_points
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile

__all__ = ["ExportedPredictor", "exported_predictor", "subject_rows", "symbolic_arguments"]


class ExportedPredictor(NamedTuple):
    """What a file of a predictor holds.

    Attributes
    ----------
    program : the exported program, as ``jax.export`` writes it
    covariance : (P, P) of the estimates
    frame : (q, q) axes along which nodes are placed, those of the fit
    record : names, sizes and settings
    """

    program: bytes
    covariance: np.ndarray
    frame: np.ndarray
    record: DynamicRecord


class _Known(NamedTuple):
    """Arrays that become constants of the program; see ``ExportedPredictor``."""

    covariance: np.ndarray
    frame: np.ndarray


def exported_predictor(fitted: FittedModel, settings: IntervalSettings) -> ExportedPredictor:
    """The program of ``fitted`` and what a caller needs to know of it.

    Raises
    ------
    ArgumentError
        For a fit without random effects or of a stream, estimates without a covariance, a density that JAX cannot export, and where
        the package flatbuffers is not installed.
    """
    _check(fitted)
    covariance = known_covariance(fitted, settings.robust)
    frame = np.asarray(fitted.design.clusters.buckets[0].frame)[0]
    record = _record(fitted, settings)
    with jax.enable_x64(True):
        program = jax.jit(functools.partial(_predictions, fitted, settings, _Known(covariance, frame)))
        try:
            content = export.export(program, platforms=["cpu"])(*symbolic_arguments(record, len(fitted.theta))).serialize()
        except ImportError:
            raise ArgumentError(
                "export_predictor needs the package flatbuffers, with which JAX writes programs; pip install flatbuffers."
            ) from None
        except (TypeError, ValueError, NotImplementedError) as error:
            reason = str(error).splitlines()[0][:200]
            raise ArgumentError(
                f"export_predictor: the density of {fitted.problem.family.name} cannot be exported ({reason}). A family of your own must "
                "be written in jax.numpy, with no callback into Python and no number of rows that its code must know."
            ) from error
    return ExportedPredictor(bytes(content), covariance, frame, record)


def subject_rows(fitted: FittedModel, newdata: Any, newdata2: Any) -> tuple[SubjectRows, SubjectRows]:
    """History and future rows as the arrays that a predictor takes; a future row with a missing value is NaN.

    Raises
    ------
    ArgumentError, DesignError, FormulaError, OutcomeError
        As ``predict`` does.
    """
    _check(fitted)
    history = read_new_rows(fitted.design, newdata, "newdata", with_outcome=True, with_groups=True)
    future = read_new_rows(fitted.design, newdata2, "newdata2", with_outcome=has_trials(fitted), with_groups=True)
    known, labels = history.groups, future.groups
    assert known is not None, "read with its clusters"
    assert labels is not None, "read with its clusters"
    numbers = known.labels.get_indexer(labels.labels)
    numbers = np.where(numbers < 0, len(known.labels) + np.arange(len(numbers)), numbers)  # refused by the predictor, which sees no history
    return _arrays(history, known.codes), _arrays(future, numbers[labels.codes], in_full=True)


def _arrays(rows: NewRows, subject: np.ndarray, in_full: bool = False) -> SubjectRows:
    """One row a row; ``in_full`` keeps those with missing values, in which everything is NaN and the subject that of the first row."""
    columns = np.concatenate([*rows.X, *rows.Z]).T
    found = SubjectRows(subject, columns, rows.offset.T, np.stack(rows.outcome, axis=1) if rows.outcome else None)
    if not in_full or rows.is_complete.all():
        return found
    found = SubjectRows(*(None if part is None else _in_full(part, rows.is_complete) for part in found))
    return found._replace(subject=np.nan_to_num(found.subject, nan=subject[0] if len(subject) else 0.0).astype(int))


def _in_full(part: np.ndarray, is_complete: np.ndarray) -> np.ndarray:
    full = np.full((len(is_complete), *part.shape[1:]), np.nan)
    full[is_complete] = part
    return full


def _check(fitted: FittedModel) -> None:
    check_one_level(fitted.design, "export_predictor")
    if fitted.design.is_streamed:
        raise ArgumentError(
            "a fit of a stream has no rows in memory, along whose columns nodes are placed; fit a table in memory, with these estimates as "
            "initial_values, and export that."
        )
    if fitted.design.group_name is None:
        raise ArgumentError(
            "the model has no random effects, so that a history says nothing of its subject; predict with fit.predict(newdata), or fit "
            "with random=."
        )


def _record(fitted: FittedModel, settings: IntervalSettings) -> DynamicRecord:
    design, bucket, family = fitted.design, fitted.design.clusters.buckets[0], fitted.problem.family
    named = {
        "fixed": design.fixed_names,
        "zi_fixed": design.zi_fixed_names,
        "dispersion": design.dispersion_names,
        "random": design.random_names,
    }
    levels = {str(name): [str(level) for level in values] for name, values in design.recipe.levels.items()}
    return DynamicRecord(
        family=f"{family.name}({family.link.name})",
        formula=", ".join(text for text in (fitted.request.fixed, fitted.request.random) if text),
        outcome=design.outcome_name,
        columns=tuple(f"{part}: {name}" for part, names in named.items() for name in names),
        n_fixed=tuple(x.shape[1] for x in bucket.X),
        n_random=tuple(z.shape[1] for z in bucket.Z),
        levels=levels,
        n_outcomes=len(bucket.y) if isinstance(bucket.y, tuple) else 1,
        level=settings.level,
        interval_for=settings.interval_for,
        n_draws=settings.n_draws,
        takes_trials=settings.interval_for == "outcome" and has_trials(fitted),
        max_block_rows=fitted.options.max_block_rows,
    )


def symbolic_arguments(record: DynamicRecord, n_theta: int) -> tuple[Any, ...]:
    """The arguments of the exported program, history, future and draws, as symbolic shapes."""
    *symbols, rows = export.symbolic_shape("S, w, B, R", constraints=[f"R <= {MOST_ROWS_OF_OUTCOMES}"])

    def array(shape: tuple[Any, ...], dtype: Any = np.float64) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    blocks, n_predictors = symbols[0], len(record.n_fixed)
    future = (
        tuple(array((blocks, p, rows)) for p in record.n_fixed),
        tuple(array((blocks, q, rows)) for q in record.n_random),
        array((blocks, n_predictors, rows)),
        array((blocks, rows), np.int32),
        (array((blocks, rows)),) * (record.n_outcomes if record.takes_trials else 0),
    )
    draws = (array((record.n_draws, n_theta)), array((2,), np.int64)) if record.interval_for == "outcome" else ()
    return plain_shapes(record.sizes, tuple(symbols), array), future, draws


def _predictions(fitted: FittedModel, settings: IntervalSettings, known: _Known, history: Any, future: Any, draws: Any) -> Array:
    """(S, 3, R) predictions at the modes, lower and upper limits; see ``symbolic_arguments``."""
    problem, request, points = fitted.problem, request_of(fitted, "subject_specific", "response"), posterior_points(fitted)
    bucket = bucket_of(history, known.frame)
    n_blocks, _, n_lanes = bucket.shape
    start = jnp.zeros((n_blocks, len(known.frame), n_lanes), bucket.offset.dtype)
    blocks = BlockRows(bucket, start, ModelRows(*future[:3]), *future[3:])
    params, theta = jax.tree.map(jnp.asarray, fitted.params), jnp.asarray(fitted.theta)

    def at_mode(block: BlockRows) -> Array:
        mode = posterior(integrand(params, block.bucket, problem.family, problem.prior), block.start).mode
        return average_of(problem.family, request, params, block.rows, mode[:, block.clusters])

    values = jax.lax.map(at_mode, blocks)
    if settings.interval_for == "outcome":
        kind = DrawSettings(settings.n_draws, 0.5 - 0.5 * settings.level, len(history[0]))
        limits = quantiles_of_blocks(problem, points, kind, ThetaDraws(theta, draws[0]), draws[1], blocks)[:, :2]
        return jnp.concatenate([values, limits], axis=1)
    mean, variance = moments_of_blocks(problem, points, request, theta, jnp.asarray(known.covariance), blocks)
    half, link = normal_quantile(settings.level) * jnp.sqrt(variance), interval_link(problem.family, request.quantity)
    return jnp.concatenate([values, link.inverse(mean - half), link.inverse(mean + half)], axis=1)
