"""What a campaign has found: the table by family, a listing of every finding, and the goals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.stress.campaign import LIMIT_S

__all__ = ["findings", "read", "report", "share"]

_BASE = ["seed", "index", "family", "structure", "shape", "sd", "corr", "intercept", "scale", "shift", "code"]
_FLAGS = ("converged", "singular", "has_nan", "has_nan_errors", "separable", "pure", "base_converged")
_TEXTS = {"family", "structure", "shape", "status", "code", "method", "start", "best_code", "base_code", "starts", "trace", *_FLAGS}
_WRONG, _WITHIN = 1e-3, 1e-4
_FAR = 0.1  # of the log-likelihood


def read(path: Path, seed: int | None = None) -> pd.DataFrame:
    """The record with everything that is judged, one column a question; refusals in our own words are left out and counted in ``attrs``."""
    d = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False)
    for name in set(d.columns) - _TEXTS:
        d[name] = pd.to_numeric(d[name], errors="coerce")
    for name in _FLAGS:
        d[name] = d[name].eq("True")
    d = d if seed is None else d[d["seed"] == seed]
    refused = d["status"].str.startswith("refused")
    d = d[~refused].copy()
    d.attrs["refused"] = int(refused.sum())
    return _judged(d)


def _judged(d: pd.DataFrame) -> pd.DataFrame:
    # no finite maximum, as far as can be told from outside
    far = (d["largest"] > 15) | (d["largest_phi"] > 9) | (d["largest_gamma"] > 9) | ((d["sd_hat"] > 40) & (d["shift"] == 0))
    error = (d["true_llf"] - d["llf"]).abs()
    moved = (d["base_llf"] - d["llf"]).abs()
    ok = d["status"].eq("ok")
    unbounded = d["separable"] | d["pure"] | far
    return d.assign(
        unbounded=unbounded,
        mixed=~d["separable"] & ~d["pure"],
        within=(d["gap"] < _WITHIN) | unbounded,
        wrong=d["converged"] & (d["gap"] > _WRONG),
        short=~d["converged"] & (d["gap"] > _WRONG),
        lost=d["code"].eq("NOT_FINITE") | d["has_nan"],
        false_alarm=~d["converged"] & ok & (d["gap"] < _WITHIN) & ~unbounded & d["code"].ne("QUADRATURE_NOT_SETTLED"),
        silent=d["converged"] & d["separable"],
        dishonest=d["converged"] & (error > 2 * d["quadrature_error"].abs() + 1e-4),
        far_off=d["converged"] & (error > _FAR),
        moving=d["converged"] & (d["true_shift"] > 0.1),
        moved=d["converged"] & d["base_converged"] & (moved > 1e-6),
        one_scale=d["base_code"].ne("") & ok & (d["converged"] != d["base_converged"]),
        below_glm=d["converged"] & (d["llf"] < d["glm_llf"] - 1e-5),
        no_errors=d["converged"] & d["has_nan_errors"],
        bad=~ok,
        slow=d["seconds"] - d["compiling"] > LIMIT_S / 5,
        rule_error=d["true_llf"] - d["llf"],
        moved_by=moved,
    )


def share(d: pd.DataFrame, by: str) -> pd.DataFrame:
    """The figures of groups of data sets, one row a group."""

    def one(g: pd.DataFrame) -> pd.Series:
        mixed, scaled = g[g["mixed"]], g[g["base_code"].ne("")]
        seconds = g["seconds"] - g["compiling"]
        return pd.Series(
            {
                "n": len(g), "wrong": g["wrong"].sum(), "no finite answer": g["lost"].sum(), "within 1e-4 %": 100 * g["within"].mean(),
                "certified, mixed %": 100 * mixed["converged"].mean() if len(mixed) else np.nan,
                "integral known": g["true_llf"].notna().sum(), "integral off": g["dishonest"].sum(), "> .1 off": g["far_off"].sum(),
                "scaled or shifted": len(scaled), "moved": g["moved"].sum(), "short": g["short"].sum(),
                "false alarm": g["false_alarm"].sum(), "separated, silent": g["silent"].sum(),
                "exceptions, hangs": g["bad"].sum(), "median s": seconds.clip(lower=0).median(),
            }
        )  # fmt: skip

    return d.groupby(by, observed=True).apply(one, include_groups=False)


def findings(d: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every kind of finding with its data sets."""
    columns: dict[str, tuple[str, list[str]]] = {
        "converged, and more than 1e-3 below the best known": ("wrong", ["llf", "gap", "start", "quadrature_error", "sd_hat"]),
        "not converged, and short of the best known": ("short", ["gap", "start", "unbounded"]),
        "no finite answer": ("lost", ["gap", "start", "best_code"]),
        "false alarms": ("false_alarm", ["llf", "quadrature_error", "largest", "largest_phi", "sd_hat"]),
        "separated and converged": ("silent", ["largest", "sd_hat", "quadrature_error"]),
        "exceptions, hangs, dead workers": ("bad", ["status"]),
        "standard errors not finite although converged": ("no_errors", []),
        "slower than a minute": ("slow", ["seconds", "compiling"]),
        "integral further off than 2 x quadrature_error + 1e-4": ("dishonest", ["quadrature_error", "rule_error", "n_agq", "sd_hat"]),
        "the integral moves an estimate by more than .1 standard errors": ("moving", ["true_shift", "shift_of_rule", "quadrature_error"]),
        "a scale or shift of the covariate moves the log-likelihood by more than 1e-6": ("moved", ["llf", "moved_by"]),
        "converged on one scale only": ("one_scale", ["base_code", "llf", "base_llf", "unbounded"]),
        "converged below the model without random effects": ("below_glm", ["llf", "glm_llf"]),
    }
    return {title: d.loc[d[flag], [*_BASE, *extra]] for title, (flag, extra) in columns.items()}


def goals(d: pd.DataFrame) -> dict[str, bool]:
    """What has to hold, and whether it does."""
    families = share(d, "family")
    mixed = d[d["mixed"]]
    return {
        "none converged more than 1e-3 below the best known maximum": not d["wrong"].any(),
        "a finite answer from the default start, always": not d["lost"].any(),
        "no exception, hang or dead worker": not (d["bad"] | d["slow"]).any(),
        "99.5 % within 1e-4 of the best known maximum, in every family": bool((families["within 1e-4 %"] >= 99.5).all()),
        "97 % certified of those that are unseparated and mixed": bool(mixed["converged"].mean() >= 0.97) if len(mixed) else True,
        "the integral is never further off than 2 x quadrature_error + 1e-4": not d["dishonest"].any(),
        "the integral is never more than .1 off": not d["far_off"].any(),
        "a scale or shift of a covariate never moves the log-likelihood by more than 1e-6": not d["moved"].any(),
        "nothing separated, and nothing without standard errors, is called converged": not (d["silent"] | d["no_errors"]).any(),
        "nothing converged is below the model without random effects": not d["below_glm"].any(),
    }


def report(d: pd.DataFrame) -> bool:
    """Print all of it; whether every goal is held."""
    with pd.option_context("display.width", 250, "display.max_columns", 40, "display.max_rows", 400):
        _show(share(d.assign(all="all data sets"), "all"))
        for by in ("family", "structure", "sd", "code"):
            _show(share(d, by))
        kind = np.where(d["shift"] != 0, "year", np.where(d["scale"] != 1, "scaled", "plain"))
        _show(share(d.assign(covariate=kind), "covariate"))
        for title, rows in findings(d).items():
            print(f"--- {title}: {len(rows)}")
            if len(rows):
                print(rows.to_string(index=False, float_format=_number, max_rows=60), "\n")
    held = goals(d)
    print(f"\n{len(d)} data sets, and {d.attrs.get('refused', 0)} refused in our own words")
    for goal, is_held in held.items():
        print(f"{'held  ' if is_held else 'FAILED'} {goal}")
    return all(held.values())


def _show(table: Any) -> None:
    print(table.to_string(float_format=_number), "\n")


def _number(value: float) -> str:
    return f"{value:.4g}"
