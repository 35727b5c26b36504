"""The record of a fit as a document with arrays, and back.

The file has all rows of the columns that the model used. Reading builds the design from these columns again, which compiles nothing,
and puts the estimates back.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import jax
import numpy as np
import pandas as pd

from glmmjax.design import Design, ModelArguments, Stream, build_design
from glmmjax.design.columns.table import as_frame, column_of
from glmmjax.design.formula.allow_list import check_code, check_formula
from glmmjax.design.levels import cluster_columns
from glmmjax.errors import ArgumentError, DesignError, DesignWarning, FormulaError, GlmmError, StorageError
from glmmjax.estimation.convergence import Code, Convergence, LaplaceError
from glmmjax.fitted import FittedModel, problem_of
from glmmjax.likelihood.prior import Prior
from glmmjax.request import FitRequest
from glmmjax.storage.archive import read_archive, write_archive
from glmmjax.storage.columns import decode_column, decode_index, encode_column, encode_index
from glmmjax.storage.families import decode_family, encode_family
from glmmjax.storage.fingerprint import fingerprint, is_like
from glmmjax.storage.laws import decode_law, encode_law
from glmmjax.storage.streamed import LostRows, decode_streamed, encode_streamed
from glmmjax.storage.values import Arrays, decode, encode

__all__ = ["OwnParts", "read_fit", "save_fit"]

_LAW = "random_effects_law"
_APART = ("data", "family", "progress")  # arguments with a place of their own in the document
_ESTIMATES = ("quadrature", "theta", "params", "information", "log_likelihood", "objective", "modes", "is_singular", "options")


class OwnParts(NamedTuple):
    """What users write themselves, or what stands in its place.

    Attributes
    ----------
    family : of the outcome
    law : of the random effects
    """

    family: Any
    law: Prior | None


def save_fit(fitted: FittedModel, path: str | os.PathLike[str]) -> None:
    """Write ``fitted`` to the file ``path``.

    Raises
    ------
    ArgumentError
        For a path in no folder, an argument or a column that no file can hold, and data that have changed since the fit.
    """
    arrays: Arrays = []
    request, design = fitted.request, fitted.design
    given = {field.name: _plain(field.name, getattr(request, field.name)) for field in dataclasses.fields(FitRequest)}
    document: dict[str, Any] = {
        "call": {name: _encoded(name, value, arrays) for name, value in given.items()},
        "progress": request.progress is True,
        "family": encode_family(request.family),
        "estimates": {name: encode(getattr(fitted, name), arrays, name) for name in _ESTIMATES},
        "penalty": encode(fitted.problem.penalty, arrays, "the penalty"),
        "convergence": {**dataclasses.asdict(fitted.convergence), "code": fitted.convergence.code.name},
    }
    if request.is_streamed:
        document["streamed"] = encode_streamed(design, arrays)
    else:
        frame = _used_columns(fitted)
        document["columns"] = [[name, encode_column(frame[name], arrays, f"the column {name!r}")] for name in frame.columns]
        document["index"] = encode_index(frame.index, arrays, "the index of data")
        _check_unchanged(fitted, _frame(document, arrays))
        document["fingerprint"] = encode(fingerprint(fitted), arrays, "the fingerprint")
    write_archive(path, document, arrays)


def _encoded(name: str, value: Any, arrays: Arrays) -> Any:
    if name == _LAW:
        return encode_law(value, arrays)
    return None if name in _APART else encode(value, arrays, f"the argument {name}")


def read_fit(path: str | os.PathLike[str], own: OwnParts, env: Mapping[str, Any] | None) -> FittedModel:
    """The record of the fit in the file ``path``.

    Parameters
    ----------
    own : what its user has written, which is in no file.
    env : what names in its formulas mean that are no columns; None for a file that is not trusted, whose formulas may have nothing but
        columns and what ``allow_list`` names.

    Raises
    ------
    StorageError
        For a file that is no fit, is damaged, or was written by a later version.
    ArgumentError
        For a ``family`` or a law of the random effects that is missing or not wanted.
    FormulaError
        For a name in a formula that is no column and not in ``env``, and for a formula that is not allowed.
    DesignError
        When the columns of the model come out different, because a name in a formula means something else than it did.
    """
    document, arrays = read_archive(path)
    text = str(path)
    try:
        family = decode_family(document["family"], own.family, text)
        law = decode_law(document["call"].pop(_LAW, None), own.law, arrays, text)
        return _fitted(document, arrays, OwnParts(family, law), env, text)
    except FormulaError as error:
        hint = (
            ""
            if env is None
            else " Names in formulas that are no columns are looked up where load is called: define them there, as for the fit."
        )
        raise FormulaError(f"load({text!r}): {error}{hint}") from None
    except GlmmError as error:
        raise type(error)(f"load({text!r}): {error}") from None
    except Exception as error:  # a damaged document can fail anywhere
        raise StorageError(f"load({text!r}): the file is damaged ({type(error).__name__}: {str(error)[:200]}).") from None


def _fitted(document: dict[str, Any], arrays: Arrays, own: OwnParts, env: Mapping[str, Any] | None, path: str) -> FittedModel:
    streamed = document.get("streamed")
    data: Any = Stream(LostRows(path), 1, None) if streamed else _frame(document, arrays)
    given = {name: decode(value, arrays) for name, value in document["call"].items()}
    apart = {"family": own.family, _LAW: own.law, "data": data, "progress": document["progress"]}
    request = FitRequest(**{**given, **apart})
    if env is None:
        _check_code(document, request, arrays)
        env = {}
    estimates = {name: decode(value, arrays) for name, value in document["estimates"].items()}
    design = decode_streamed(streamed, request, env, arrays) if streamed else _design(request, env, estimates["options"])
    fitted = FittedModel(
        design=design,
        problem=problem_of(design, decode(document["penalty"], arrays), request.random_effects_law),
        convergence=_convergence(document["convergence"]),
        request=request,
        **estimates,
    )
    _check_types(fitted)
    _check_types(fitted.convergence)
    _check_shapes(fitted)
    if not streamed and not is_like(fitted, decode(document["fingerprint"], arrays)):
        raise DesignError(
            "the columns of the model come out different from those of the fit: a name in a formula, or the family passed, means something "
            "else here than it did for the fit. Define it as it was, and load again."
        )
    return fitted


def _convergence(ended: dict[str, Any]) -> Convergence:
    error = ended.get("laplace_error")
    special = {"code": Code[ended["code"]], "limits": tuple(ended.get("limits", ())), "laplace_error": error and LaplaceError(*error)}
    return Convergence(**{**ended, **special})


def _check_code(document: Mapping[str, Any], request: FitRequest, arrays: Arrays) -> None:
    """Refuse a document whose formulas, or what they have learned, could run code."""
    streamed = document.get("streamed")
    check_formula(request.formula)
    for code in _codes(decode(streamed["learned"], arrays)) if streamed else ():
        check_code(code)


def _codes(learned: Any) -> Iterator[str]:
    """The expressions in what a formula has learned, wherever they stand."""
    items = learned.items() if isinstance(learned, dict) else enumerate(learned if isinstance(learned, list | tuple) else ())
    for name, value in items:
        yield from [str(value)] if name == "code" else _codes(value)


def _design(given: ModelArguments, env: Mapping[str, Any], options: Any) -> Design:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DesignWarning)  # the user was warned when the model was fitted
        return build_design(given, env, options)


def _plain(name: str, value: Any) -> Any:
    """An argument without an index: weights by cluster label as a dict; the rows of an offset are those of the data, in their order."""
    if not isinstance(value, pd.Series):
        return value
    return dict(value.items()) if name == "weights" else value.to_numpy()


def _used_columns(fitted: FittedModel) -> pd.DataFrame:
    """All rows of the columns that the model used, variables of the caller among them."""
    design, request = fitted.design, fitted.request
    data, named = as_frame(request.data), (request.weights, request.row_weights, request.offset, request.zi_offset)
    names = [*design.recipe.columns, *cluster_columns(design), *(name for name in named if isinstance(name, str))]
    columns = {name: _column(data, name, design.recipe.namespace) for name in dict.fromkeys(names)}
    return pd.DataFrame({name: pd.Series(column, index=data.index) for name, column in columns.items()}, index=data.index)


def _column(data: pd.DataFrame, name: str, namespace: Mapping[str, Any]) -> Any:
    if name in data.columns:
        return column_of(data, name)
    if name in namespace and np.shape(namespace[name]) == (len(data),):
        return pd.Series(namespace[name]).array
    raise _changed(f"they have no column {name!r} now")


def _frame(document: Mapping[str, Any], arrays: Arrays) -> pd.DataFrame:
    columns = {name: decode_column(column, arrays).array for name, column in document["columns"]}
    return pd.DataFrame(columns, index=decode_index(document["index"], arrays))


def _check_unchanged(fitted: FittedModel, frame: pd.DataFrame) -> None:
    """Whether the columns as written give the design that was fitted."""
    old = fitted.design
    try:
        with jax.enable_x64(True):
            new = _design(dataclasses.replace(fitted.request, data=frame), old.recipe.namespace, fitted.options)
    except GlmmError as error:
        raise _changed(str(error)) from None
    names = ("fixed_names", "random_names", "zi_fixed_names", "dispersion_names", "levels", "success_level")
    is_same = all(getattr(old, name) == getattr(new, name) for name in names)
    is_same = is_same and old.groups.equals(new.groups) and old.row_labels.equals(new.row_labels)
    leaves = zip(jax.tree.leaves(old.clusters), jax.tree.leaves(new.clusters), strict=False)
    if not (is_same and all(np.array_equal(a, b) for a, b in leaves)):
        raise _changed("their columns give other numbers now")


def _changed(how: str) -> ArgumentError:
    return ArgumentError(
        f"save: the data have changed since the fit ({how}), and a saved fit holds the data that it was fitted to. Fit again with "
        "fit.update(data=...), or fit a copy, data=frame.copy(), that stays as it is."
    )


def _check_types(record: Any) -> None:
    """Whether every field of a record that was read has the type that its class declares."""
    for name, declared in get_type_hints(type(record)).items():
        value = getattr(record, name)
        if not _is_of(value, declared):
            raise TypeError(f"{name} is {type(value).__name__}, and must be {getattr(declared, '__name__', declared)}")


def _is_of(value: Any, declared: Any) -> bool:
    if get_origin(declared) is tuple:  # tuple[int, ...]
        return isinstance(value, tuple) and all(_is_of(entry, get_args(declared)[0]) for entry in value)
    wanted = int | float if declared is float else declared
    return isinstance(value, wanted) and (declared is bool or not isinstance(value, bool))


def _check_shapes(fitted: FittedModel) -> None:
    size, q = fitted.problem.layout.size, fitted.problem.layout.covariance.q
    expected = {"theta": (size,), "information": (size, size), "modes": (len(fitted.design.units), q)}
    for name, shape in expected.items():
        if np.shape(getattr(fitted, name)) != shape:
            raise ValueError(f"{name} has shape {np.shape(getattr(fitted, name))}, and its model needs {shape}")
    if not all(0 <= position < size for position in fitted.convergence.limits):
        raise ValueError(f"limits are {fitted.convergence.limits}, and its model has {size} parameters")
