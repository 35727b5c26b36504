"""lme4, glmmTMB and GLMMadaptive beside glmmjax on unscaled data sets of the campaign, each judged by our likelihood at its estimates.

Each is judged by the rule that it maximises: lme4 and glmmTMB by Laplace's method, GLMMadaptive by 11 points; glmmjax stands in both.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.stress.cases import Case, case
from benchmarks.stress.outside import is_pure, is_separable, without_effects
from benchmarks.stress.starts import starts
from glmmjax.initial_values import initial_theta

__all__ = ["compare", "table"]

_FAMILIES = {"binomial": "binomial", "trials": "binomial", "poisson": "poisson", "negative_binomial": "negative_binomial"}
_RULES = {"lme4": 1, "glmmTMB": 1, "GLMMadaptive": 11}
_MOST_SLOW = 6  # one in so many is negative binomial, where glmer.nb takes ten seconds
_R_MINUTES = 25
_CLOSE = 1e-3

Fits = dict[str, gj.MixedModelResults]
Answers = dict[str, dict[str, Any]]


def compare(seed: int, n: int, out: Path, cache: Path | None = None) -> bool:
    """Print the figures of each program and write the record; whether glmmjax claims nothing false and is never behind."""
    if cache is not None:
        gj.program_store(cache)
    chosen = [c for _, c in zip(range(n), _chosen(seed, n), strict=False)]
    answers = _answers(chosen)
    rows = [row for c in chosen if str(c.index) in answers for row in _rows(c, answers[str(c.index)])]
    d = pd.DataFrame(rows)
    d.to_csv(out, index=False)
    figures = table(d)
    print(f"\n{len(answers)} unscaled data sets beside R\n{figures.to_string(float_format=lambda value: f'{value:.4g}')}")
    ours = figures.xs("glmmjax", level="program")
    return bool((ours["false claims"] == 0).all())


def _chosen(seed: int, n: int) -> Iterator[Case]:
    """Unscaled data sets of small models that all programs know, without separation."""
    index, slow = -1, 0
    while True:
        index += 1
        c = case(seed, index)
        is_known = c.family in _FAMILIES and c.structure in ("q1", "q2") and c.shape in ("60x10", "5x8", "12x50")
        if not is_known or c.scale != 1.0 or c.shift != 0.0 or is_separable(c) or is_pure(c):
            continue
        if c.family == "negative_binomial":
            slow += 1
            if slow > n // _MOST_SLOW:
                continue
        yield c


def _answers(chosen: list[Case]) -> dict[str, Answers]:
    """What R says of each; those that it finishes in time."""
    with tempfile.TemporaryDirectory() as name:
        folder, jobs = Path(name), []
        for c in chosen:
            c.data.to_csv(folder / f"{c.index}.csv", index=False)
            formulas = {"formula": f"{c.fixed} + ({c.random.removeprefix('~ ')})", "fixed": c.fixed, "random": c.random}
            jobs.append({"index": c.index, "file": f"{c.index}.csv", "family": _FAMILIES[c.family], **formulas})
        (folder / "jobs.json").write_text(json.dumps(jobs))
        script = Path(__file__).with_suffix(".R")
        try:
            subprocess.run(["Rscript", script, folder], check=True, stderr=subprocess.DEVNULL, timeout=60 * _R_MINUTES)
        except subprocess.TimeoutExpired:
            print("R ran out of time; the data sets that it finished are compared")
        found = folder / "peers.json"
        return json.loads(found.read_text()) if found.exists() else {}


def _rows(c: Case, answers: Answers) -> Iterator[dict[str, Any]]:
    """One row a rule and program."""
    for n_agq in sorted({_RULES[peer] for peer in answers}):
        own = {peer: answer for peer, answer in answers.items() if _RULES[peer] == n_agq}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from _by_rule(c, n_agq, own)


def _by_rule(c: Case, n_agq: int, answers: Answers) -> Iterator[dict[str, Any]]:
    c.fit(n_agq=n_agq)  # compiles
    began = time.perf_counter()
    fit = c.fit(n_agq=n_agq)
    seconds = time.perf_counter() - began
    given = {peer: _estimates(c, answer) for peer, answer in answers.items()}
    at = {peer: _value(fit, values, n_agq) for peer, values in given.items() if values is not None}
    glm = without_effects(c)
    all_starts = {**starts(c, fit if np.isfinite(fit.llf) else None, None if glm is None else glm[1])}
    all_starts |= {peer: values for peer, values in given.items() if values is not None}
    ends = [end for values in all_starts.values() if (end := _end(c, values, n_agq)) is not None]
    best = max([*ends, fit.llf if np.isfinite(fit.llf) else -np.inf, *(value for value in at.values() if np.isfinite(value))])
    base = {"index": c.index, "family": c.family, "structure": c.structure, "shape": c.shape, "sd": c.sd, "rule": n_agq, "best": best}
    yield base | {"program": "glmmjax", "gap": best - fit.llf, "ok": fit.converged, "seconds": seconds, "says": fit.convergence.code.name}
    for peer, answer in answers.items():
        messages = [*(answer.get("messages") or []), *(answer.get("warnings") or []), *(answer.get("error") or [])]
        said = "|".join(str(message)[:70] for message in messages)
        gap, spent = best - at[peer] if peer in at else np.nan, float(np.ravel(answer["seconds"])[0])
        yield base | {"program": peer, "gap": gap, "ok": not messages, "seconds": spent, "says": said}


def _estimates(c: Case, answer: dict[str, Any]) -> dict[str, Any] | None:
    if "error" in answer:
        return None
    try:
        values = {name: np.array(answer[name], float) for name in ("beta", "D", "phi")}
    except (KeyError, TypeError, ValueError):
        return None
    if c.family != "negative_binomial":
        del values["phi"]
    return values if all(np.isfinite(value).all() for value in values.values()) else None


def _value(fit: gj.MixedModelResults, values: dict[str, Any], n_agq: int) -> float:
    """Our log-likelihood by this rule at given parameters."""
    problem = fit.fitted_model.problem
    try:
        with jax.enable_x64(True):
            params = problem.layout.params(jnp.asarray(initial_theta(values, problem.layout)))
            return float(gj.log_likelihood(params, fit.fitted_model.design.clusters, problem.family, n_agq=n_agq))
    except gj.errors.GlmmError:
        return np.nan


def _end(c: Case, values: dict[str, Any], n_agq: int) -> float | None:
    try:
        end = c.fit(n_agq=n_agq, initial_values=values)
    except gj.errors.GlmmError:
        return None
    return end.llf if np.isfinite(end.llf) else None


def table(d: pd.DataFrame) -> pd.DataFrame:
    """The figures of each rule and program."""

    def one(g: pd.DataFrame) -> pd.Series:
        false = g["ok"] & ~(g["gap"] <= _CLOSE)
        return pd.Series(
            {
                "n": len(g), "says converged %": 100 * g["ok"].mean(), "within 1e-3 %": 100 * (g["gap"] <= _CLOSE).mean(),
                "within 1e-4 %": 100 * (g["gap"] <= 1e-4).mean(), "false claims": false.sum(), "worst of these": g.loc[false, "gap"].max(),
                "complains within 1e-4": (~g["ok"] & (g["gap"] <= 1e-4)).sum(), "failed": g["gap"].isna().sum(),
                "median s": g["seconds"].median(),
            }
        )  # fmt: skip

    return d.groupby(["rule", "program"]).apply(one, include_groups=False)
