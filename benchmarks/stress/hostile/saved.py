"""Saved fits: round trips that must change nothing, and files that were tampered with."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import glmmjax as gj
from benchmarks.stress.hostile.names import TMP, TOUCH, D, close, fit, need, once, optional
from glmmjax.errors import GlmmError

__all__ = ["names"]

Fit = gj.MixedModelResults
Change = Callable[[dict[str, Any]], Any]

# what must be the same after a file or a pickle
_METHODS: dict[str, Callable[[Fit], Any]] = {
    "cov_params": lambda f: f.cov_params(which="all"),
    "conf_int": lambda f: f.conf_int("all"),
    "random_effects": lambda f: f.random_effects,
    "marginal_means": lambda f: f.marginal_means(average=True),
    "predict": lambda f: f.predict(kind="marginal"),
    "predict interval": lambda f: f.predict(kind="subject_specific", interval=0.95),
    "simulate": lambda f: f.simulate(3),
    "resid": lambda f: f.resid("pearson"),
    "quantile_residuals": lambda f: f.quantile_residuals(50).values,
    "effects": lambda f: f.effects({"x": [0, 1]}),
    "tidy": lambda f: f.tidy(),
    "glance": lambda f: f.glance(),
    "cooks_distance": lambda f: f.cooks_distance("one_step"),
    "score_test": lambda f: f.score_test("I(x**2)"),
}


def saved_and_loaded(f: Fit) -> None:
    """Estimates, covariances, predictions and texts after a file."""
    f.save(TMP / "fit")
    g = gj.load(TMP / "fit")
    need(f.llf == g.llf and (f.fe_params == g.fe_params).all(), "estimates changed")
    before, then = (np.asarray(one.cov_params(which="all")) for one in (f, g))
    need(np.array_equal(before, then, equal_nan=True), "covariance changed")
    need(f.random_effects.equals(g.random_effects), "random effects changed")
    need(f.predict(kind="subject_specific").equals(g.predict(kind="subject_specific")), "predictions changed")
    need(str(f.summary()) == str(g.summary()), "the summary changed")


def by_joblib(f: Fit) -> None:
    """Predictions after joblib."""
    joblib = optional("joblib")
    joblib.dump(f, TMP / "joblib")
    need(joblib.load(TMP / "joblib").predict().equals(f.predict()), "predictions changed")


def again(f: Fit, how: str) -> Fit:
    """The fit after a file, or after a pickle."""
    if how == "pickle":
        return pickle.loads(pickle.dumps(f))
    f.save(TMP / "again")
    return gj.load(TMP / "again")


def after(f: Fit, how: str) -> None:
    """Post-fit methods say the same afterwards."""
    g = again(f, how)
    for name, method in _METHODS.items():
        ends = [_said(method, one) for one in (f, g)]
        need(ends[0] == ends[1] or "object at" in ends[0], f"{name} differs after {how}: {ends[0][:200]} / {ends[1][:200]}")


def _said(method: Callable[[Fit], Any], f: Fit) -> str:
    try:
        return repr(method(f))
    except GlmmError as error:
        return f"{type(error).__name__}: {error}"


def changed_then_saved() -> None:
    """The caller changes his data in place, and saves."""
    d = D.copy()
    f = fit(data=d)
    d["x"] = d.x + 1
    f.save(TMP / "changed")


def changed_then_used() -> None:
    """The caller changes his data in place; his fit does not change."""
    d = D.copy()
    f = fit(data=d)
    results = lambda: (f.predict(kind="subject_specific"), f.marginal_means(average=True), f.effects({"x": [0, 1]}))  # noqa: E731
    before = results()
    d["x"] = d.x + 100
    for one, other in zip(before, results(), strict=True):
        close(one, other, "a result of a fit changes when the caller changes his data")


def put(*path: str, value: Any) -> Change:
    """The change of one entry of the document."""

    def change(document: dict[str, Any]) -> None:
        at = document
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


def tampered(change: Change | None = None, entry: Callable[[str, Any], Any] | None = None, f: Fit | None = None) -> Path:
    """A saved fit with a changed document, or a changed entry; its path."""
    source, target = TMP / "source", TMP / "tampered"
    (f or once("sex")).save(source)
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(target, "w") as out:
        document = json.loads(whole.read("fit.json"))
        if change:
            document = change(document) or document
        for name in whole.namelist():
            content = json.dumps(document) if name == "fit.json" else whole.read(name)
            out.writestr(name, entry(name, content) if entry else content)
    return target


def saved_bytes() -> bytes:
    """A saved fit."""
    once("sex").save(TMP / "bytes")
    return (TMP / "bytes").read_bytes()


def flipped(content: bytes, k: int) -> bytes:
    """One bit changed."""
    r, changed = np.random.default_rng(k), bytearray(content)
    changed[r.integers(len(changed))] ^= 1 << int(r.integers(8))
    return bytes(changed)


def written(content: bytes) -> Path:
    """A file with this content."""
    (TMP / "written").write_bytes(content)
    return TMP / "written"


def archive(entries: dict[str, Any]) -> Path:
    """Another zip file."""
    with zipfile.ZipFile(TMP / "zip", "w") as out:
        for name, text in entries.items():
            out.writestr(name, text)
    return TMP / "zip"


class _Evil:
    def __reduce__(self) -> Any:
        return (eval, (TOUCH,))


def object_array() -> bytes:
    """An array that is a pickle with code."""
    out = io.BytesIO()
    np.save(out, np.array([_Evil()], object), allow_pickle=True)
    return out.getvalue()


def huge_header() -> bytes:
    """An array that says it has 10^12 numbers."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    return out.getvalue()


def header_with(text: str) -> bytes:
    """An array whose header has code for a type."""
    head = f"{{'descr': {text}, 'fortran_order': False, 'shape': (3,), }}".encode().ljust(118 if len(text) < 60 else 310) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + np.zeros(3).tobytes()


def names() -> dict[str, Any]:
    """What the corpus of files uses."""
    functions = (
        *(saved_and_loaded, by_joblib, again, after, changed_then_saved, changed_then_used, put, tampered, saved_bytes, flipped, written),
        *(archive, object_array, huge_header, header_with),
    )
    return {function.__name__: function for function in functions} | {"json": json, "zipfile": zipfile}
