"""Dynamic predictors in files: the exported program, two matrices, and a document of names and settings."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from glmmjax.arguments import PATH, takes
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.prediction.dynamic_predictor import DynamicPredictor, DynamicRecord
from glmmjax.postfit.prediction.dynamic_program import exported_predictor, symbolic_arguments
from glmmjax.postfit.prediction.predict import IntervalSettings
from glmmjax.storage.archive import FileKind, damaged, read_archive, write_archive

__all__ = ["load_predictor", "save_predictor"]

PREDICTOR = FileKind(
    format="glmmjax predictor",
    document="predictor.json",
    writer="export_predictor",
    reader="load_predictor",
    example="visits.glmmpred",
    words="predictor that fit.export_predictor(path) wrote",
)


def save_predictor(fitted: FittedModel, path: str | os.PathLike[str], settings: IntervalSettings) -> None:
    """Write the dynamic predictions of ``fitted`` to the file ``path``.

    Raises
    ------
    ArgumentError, StorageError
        For a fit that cannot be exported, and a path where nothing can be written.
    """
    found = exported_predictor(fitted, settings)
    document = {"jax_version": jax.__version__, "record": found.record._asdict()}
    write_archive(path, document, [np.frombuffer(found.program, np.uint8), found.covariance, found.frame], PREDICTOR)


@takes(path=PATH)
def load_predictor(path: str | os.PathLike[str]) -> DynamicPredictor:
    """The predictor that ``fit.export_predictor(path)`` wrote.

    It needs no data, formula or family: its program has the estimates inside. The first call of a size compiles for some seconds.
    Histories, and future rows for intervals of a mean, are padded to 8, 16, 32, ... rows, so that calls of similar size share a program. It
    runs on the CPU, in double precision. A file holds numbers, text and a program in StableHLO, which computes and does nothing else.

    Parameters
    ----------
    path : of the file.

    Returns
    -------
    DynamicPredictor
        ``predictor(history, future, seed=0)`` has ``mean``, ``lower``, ``upper``; ``predictor.record`` the names of columns and settings.

    Raises
    ------
    StorageError
        For a file that is no predictor, is damaged, or that this JAX cannot read.
    ArgumentError
        For a file that is not there.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> fit.export_predictor("intro.glmmpred")
    >>> gj.load_predictor("intro.glmmpred")
    <DynamicPredictor: binomial(logit), y ~ sex * time, ~ 1 | id; 95 % intervals of the mean>
    """
    document, arrays = read_archive(path, PREDICTOR)
    try:
        program, covariance, frame = arrays
        predictor = DynamicPredictor(program.tobytes(), covariance, frame, _record(document["record"]))
        _check(predictor, covariance, frame)
        return predictor
    except ImportError:
        raise ArgumentError(
            "load_predictor needs the package flatbuffers, with which JAX reads programs; pip install flatbuffers."
        ) from None
    except Exception as error:  # a damaged document or program can fail anywhere
        written, own = document.get("jax_version"), jax.__version__
        raise damaged(path, PREDICTOR, ValueError(f"{error} (written by jax {written}, read by {own})")) from None


def _check(predictor: DynamicPredictor, covariance: np.ndarray, frame: np.ndarray) -> None:
    """The program must take what the record promises."""
    record, program = predictor.record, predictor.program
    promised = [(str(leaf.shape), str(leaf.dtype)) for leaf in jax.tree.leaves(symbolic_arguments(record, len(covariance)))]
    if promised != [(str(leaf.shape), str(leaf.dtype)) for leaf in program.in_avals] or frame.shape != (sum(record.n_random),) * 2:
        raise ValueError("its program does not fit its record")
    program.mlir_module()  # raises for a program that cannot be read


def _record(found: dict[str, Any]) -> DynamicRecord:
    tuples = {name: tuple(found[name]) for name in ("columns", "n_fixed", "n_random")}
    record = DynamicRecord(**{**found, **tuples})
    if len(record.columns) != sum((*record.n_fixed, *record.n_random)) or record.interval_for not in ("mean", "outcome"):
        raise ValueError("its record does not fit its columns")
    return record
