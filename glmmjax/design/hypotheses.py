"""Linear hypotheses on named parameters, whose text patsy reads, and the columns of each term of the formula."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import patsy

from glmmjax.design.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.values import NOT_NUMBERS

__all__ = ["Hypotheses", "read_hypotheses", "term_columns"]

_EXAMPLE = "such as 'time = 0' or 'a = b, c = 1'"


class Hypotheses(NamedTuple):
    """``matrix @ parameters = values``, k of them.

    Attributes
    ----------
    matrix : (k, n) coefficients of the n parameters
    values : (k,) right sides
    texts : (k,) each hypothesis in words
    """

    matrix: np.ndarray
    values: np.ndarray
    texts: tuple[str, ...]


def read_hypotheses(hypotheses: Any, names: Sequence[str], n_fixed: int) -> Hypotheses:
    """Hypotheses on the parameters ``names``, of which the first ``n_fixed`` are the fixed effects.

    Parameters
    ----------
    hypotheses : text in patsy's language, a list of such texts, a dict of values by name, or a matrix of coefficients with as many columns
        as there are fixed effects or parameters; one row may be given as a vector.

    Raises
    ------
    ArgumentError
        For unknown names, text that cannot be read, a matrix of another width or with values that are not finite, and
        hypotheses that follow from one another.
    """
    if isinstance(hypotheses, str | Mapping) or (isinstance(hypotheses, list | tuple) and all(isinstance(h, str) for h in hypotheses)):
        matrix, values = _from_text(hypotheses, names)
    else:
        matrix, values = _from_matrix(hypotheses, names, n_fixed)
    if not len(matrix):
        raise ArgumentError(f"hypotheses has none; give one or more, {_EXAMPLE}.")
    if not (np.isfinite(matrix).all() and np.isfinite(values).all()):
        raise ArgumentError("hypotheses has a value that is not finite; coefficients and right sides must be numbers.")
    rank = int(np.linalg.matrix_rank(matrix / np.maximum(np.abs(matrix).max(axis=1, keepdims=True), 1e-300)))
    if rank < len(matrix):
        raise ArgumentError(
            f"hypotheses has {len(matrix)} rows of rank {rank}: some follow from the others or contradict them; leave these out."
        )
    values = values + 0.0  # no -0
    return Hypotheses(matrix, values, tuple(_text(row, value, names) for row, value in zip(matrix, values, strict=True)))


def term_columns(design: Design) -> dict[str, np.ndarray]:
    """Columns of the fixed effects that belong to each term of the formula but the intercept, in the order of ``design.fixed_names``."""
    function: Any = design.recipe.predictors["main"]
    info = getattr(function.fixed_of, "info", None)
    if info is None:
        return {}
    where = {name: k for k, name in enumerate(design.fixed_names)}
    terms = {term: [where.get(name) for name in info.column_names[part]] for term, part in info.term_name_slices.items()}
    return {term: np.array(columns) for term, columns in terms.items() if term != "Intercept" and None not in columns and columns}


def _from_text(hypotheses: Any, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    text = list(hypotheses) if isinstance(hypotheses, tuple) else hypotheses
    if not text:
        raise ArgumentError(f"hypotheses is empty; write one or more, {_EXAMPLE}.")
    try:
        found = patsy.DesignInfo(list(names)).linear_constraint(text)
    except Exception as error:  # patsy raises its own errors, and for a strange value any other
        reason = str(getattr(error, "message", error)).strip().splitlines() or [type(error).__name__]
        raise ArgumentError(
            f"hypotheses={hypotheses!r} cannot be read: {reason[0]}.{_close_to(text, names)} Write equations of names of parameters, "
            f"{_EXAMPLE}; the names are {', '.join(map(repr, names))}."
        ) from None
    return np.asarray(found.coefs, float), np.asarray(found.constants, float).ravel()


def _close_to(text: Any, names: Sequence[str]) -> str:
    """The name that was probably meant, or the hypothesis that a whole factor has no effect."""
    of_factor = [name for name in names if isinstance(text, str) and name.startswith(f"{text.strip()}[")]
    if of_factor:
        return f" For the whole of {text.strip()!r} write {', '.join(f'{name} = 0' for name in of_factor)!r}."
    words = list(text) if not isinstance(text, str) else [part.split("=")[0].strip() for part in text.split(",")]
    unknown = [word for word in words if isinstance(word, str) and word not in names]
    close = [match for word in unknown for match in difflib.get_close_matches(word, names, n=1, cutoff=0.75)]
    return f" Did you mean {' or '.join(map(repr, dict.fromkeys(close)))}?" if close else ""


def _from_matrix(hypotheses: Any, names: Sequence[str], n_fixed: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        matrix = np.atleast_2d(np.asarray(hypotheses.to_numpy() if isinstance(hypotheses, pd.DataFrame) else hypotheses, float))
    except NOT_NUMBERS:
        raise ArgumentError(
            f"hypotheses has type {type(hypotheses).__name__}, and must be text {_EXAMPLE}, a list of texts, a dict or a matrix."
        ) from None
    if matrix.ndim != 2 or matrix.shape[1] not in (n_fixed, len(names)):
        others = f", or {len(names)}, one for each parameter of cov_params(which='all')" if len(names) > n_fixed else ""
        raise ArgumentError(
            f"hypotheses has shape {np.shape(hypotheses)}, and must have {n_fixed} columns, one for each fixed effect "
            f"({', '.join(map(repr, names[:n_fixed]))}){others}."
        )
    full = np.zeros((len(matrix), len(names)))
    full[:, : matrix.shape[1]] = matrix
    return full, np.zeros(len(matrix))


def _text(row: np.ndarray, value: float, names: Sequence[str]) -> str:
    parts = []
    for weight, name in zip(row, names, strict=True):
        if weight:
            size = "" if abs(weight) == 1.0 else f"{abs(weight):g} "
            parts.append(f"{'-' if weight < 0 else '+'} {size}{name}")
    left = " ".join(parts)
    return f"{left[2:] if left.startswith('+ ') else '-' + left[2:]} = {value:g}"
