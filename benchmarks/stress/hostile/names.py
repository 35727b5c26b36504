"""The names in which the corpus is written: data, fits that are made once, and comparisons that raise ``Wrong``."""

from __future__ import annotations

import copy
import functools
import importlib
import io
import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj
from glmmjax.errors import ConvergenceWarning, DesignWarning

__all__ = ["MARK", "TMP", "NotInstalled", "Wrong", "close", "fit", "names", "need", "once"]

Fit = gj.MixedModelResults
TMP = Path(tempfile.mkdtemp(prefix="hostile_"))
MARK = TMP / "executed"  # where it exists, code of an input has run
TOUCH = f"__import__('pathlib').Path({str(MARK)!r}).touch()"


class Wrong(Exception):
    """A result that is not what the input means."""


class NotInstalled(Exception):
    """A library that an input needs is not here."""


def base(seed: int = 1, m: int = 20, k: int = 6) -> pd.DataFrame:
    """Outcomes of several kinds, in m clusters of k rows."""
    r = np.random.default_rng(seed)
    n = m * k
    i = np.repeat(np.arange(m), k)
    x, b = r.normal(size=n), 0.6 * r.normal(size=m)[i]
    eta = 0.3 + 0.5 * x + b
    d = pd.DataFrame({"id": i, "id2": np.tile(np.arange(k), m), "x": x, "z": r.normal(size=n), "t": r.uniform(0.5, 2, n)})
    d["sex"] = np.where(r.uniform(size=n) < 0.5, "f", "m")
    d["y"] = r.poisson(np.exp(eta))
    d["b"] = (r.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int)
    d["g"] = eta + 0.5 * r.normal(size=n)
    d["s"] = r.binomial(7, 1 / (1 + np.exp(-eta)))
    d["f"] = 7 - d["s"]
    return d


D = base()


def fit(fixed: Any = "y ~ x", random: Any = "~ 1 | id", data: Any = None, family: Any = "poisson", **arguments: Any) -> Fit:
    """A fit, whose warnings are its own business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DesignWarning)
        return gj.mixed_model(fixed, random, data=D if data is None else data, family=family, **arguments)


def design(fixed: Any, random: Any = "~ 1 | id", data: Any = None, family: Any = "poisson", **arguments: Any) -> Any:
    """The design without a fit."""
    return gj.make_design(fixed, random, data=D if data is None else data, family=family, **arguments)


_FITS: dict[str, Callable[[], Fit]] = {
    "plain": lambda: fit(),
    "sex": lambda: fit("y ~ x + sex"),
    "binary": lambda: fit("b ~ x + sex", family="binomial"),
    "glm": lambda: fit("y ~ x", None),
    "glm weights": lambda: fit("y ~ x", None, weights=np.linspace(0.5, 2, len(D))),
    "singular": lambda: fit("y ~ x", "~ 1 | id2"),
    "stopped": lambda: fit("y ~ x + z", options=gj.Options(n_em=0, n_quasi_newton=0, n_newton=0)),
    "offset": lambda: fit("y ~ x", offset=np.log(D.t)),
    "slope": lambda: fit("y ~ x", "~ x | id"),
    "weights": lambda: fit("y ~ x", weights=np.arange(1.0, 21.0)),
}


@functools.cache
def once(key: str = "plain") -> Fit:
    """A fit that several inputs use."""
    return _FITS[key]()


def need(truth: Any, text: str) -> None:
    """``text`` says what is wrong where it does not hold."""
    if not truth:
        raise Wrong(text)


def close(a: Any, b: Any, text: str, rtol: float = 1e-6, atol: float = 1e-8) -> None:
    """Equal numbers."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or not np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
        gap = np.nanmax(np.abs(a - b)) if a.shape == b.shape else f"shapes {a.shape} {b.shape}"
        raise Wrong(f"{text}: differ by {gap}")


def whole(found: Fit) -> Fit:
    """A fit that can be printed, and has numbers where it says that it has converged."""
    need(np.isfinite(found.llf) or not found.converged, "a converged fit with a log-likelihood that is not finite")
    str(found.summary())
    return found


def same(found: Fit, reference: Fit) -> None:
    """The fit of the same data in another form."""
    close(found.llf, reference.llf, f"log-likelihood {found.llf} against {reference.llf}", 1e-8)
    close(found.fe_params.to_numpy(), reference.fe_params.to_numpy(), "coefficients", 1e-5)


def fixed(found: Any, *names: str) -> None:
    """The columns of a design are these."""
    need(found.fixed_names == names, f"fixed columns are {found.fixed_names}, not {names}")


def rand(found: Any, *names: str) -> None:
    """Its random effects are these."""
    need(found.random_names == names, f"random columns are {found.random_names}, not {names}")


def ordered(table: pd.DataFrame) -> None:
    """Predictions lie in their intervals."""
    is_inside = (table["lower"] <= table["prediction"] + 1e-9) & (table["prediction"] <= table["upper"] + 1e-9)
    need(is_inside.all(), "a prediction outside its interval")


def expect(kind: type[Exception], function: Callable[[], Any]) -> None:
    """A call that Python itself refuses."""
    try:
        function()
    except kind:
        return
    raise Wrong(f"no {kind.__name__}")


def breaks(record: Any) -> None:
    """A report of progress that fails, whose own error is to come through."""
    raise KeyError("mine")


def in_units(factor: float) -> None:
    """A normal outcome in other units is the same fit, and as certain."""
    found = fit("g ~ x", data=D.assign(g=D.g * factor), family="gaussian")
    close(found.llf, fit("g ~ x", family="gaussian").llf - len(D) * np.log(factor), "log-likelihood", 1e-7)
    need(found.converged, f"at the maximum, and not converged: {found.convergence.message}")


_LOGNORMAL = ("gamma", "lognormal", "inverse_gaussian")


def scaled(family: str, factor: float) -> None:
    """An outcome in absurd units: an answer, an error, or no convergence; and the right number where it is called converged."""
    d = D.assign(y=np.exp(D.g) if family in _LOGNORMAL else D.y * np.exp(D.g) if family == "tweedie" else D.g)
    plain, found = fit(data=d, family=family), fit(data=d.assign(y=d.y * factor), family=family)
    whole(found)
    if found.converged and family not in ("student_t", "tweedie"):
        close(found.llf, plain.llf - np.log(factor) * len(d), f"log-likelihood of y x {factor:g}", 1e-5, 1e-2)


def optional(name: str) -> Any:
    """A library that may be missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotInstalled(name) from None


def arrow_dictionary(column: pd.Series) -> pd.Series:
    """A column of dictionary-encoded Arrow strings."""
    pa = optional("pyarrow")
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(column.astype(str).tolist()).dictionary_encode()])))


class Statsmodels:
    """A family of another library."""


def _tables() -> dict[str, pd.DataFrame]:
    r, n = np.random.default_rng(0), 100_000
    x = r.normal(size=n)
    odd = {"a b": D.x, "größe": D.x, "π": D.x, "变量": D.x, "if": D.x, "1x": D.x, "a.b": D.x, "a'b": D.x, 'a"b': D.x, "a\\b": D.x}
    return {
        "new": D[["x", "sex", "id", "y"]].iloc[:12],
        "spaced": D.assign(**odd),
        "six": D.assign(**{f"v{k}": np.random.default_rng(k).normal(size=len(D)) for k in range(6)}),
        "big": pd.DataFrame({"x": x, "y": r.poisson(np.exp(0.2 + 0.3 * x)), "one": 0, "own": np.arange(n)}),
    }


def names() -> dict[str, Any]:
    """Everything that an expression may use; ``f`` is the fit ``y ~ x + sex``."""
    functions: list[Any] = [base, fit, design, once, need, close, whole, same, fixed, rand, ordered, expect, scaled, optional]
    functions += [breaks, in_units, arrow_dictionary]
    modules = {"np": np, "pd": pd, "gj": gj, "io": io, "copy": copy, "pickle": pickle, "tempfile": tempfile, "Path": Path}
    known = {"D": D, "TMP": TMP, "MARK": MARK, "TOUCH": TOUCH, "Wrong": Wrong, "Statsmodels": Statsmodels}
    poisson = {"poisson": lambda mean: np.random.default_rng(0).poisson(mean)}
    return {function.__name__: function for function in functions} | modules | known | poisson | _tables() | {"f": once("sex")}
