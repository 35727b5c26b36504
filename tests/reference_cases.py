"""The reference cases as records in glmmjax's terms: patsy's names and column order, categoricals in R's level order.

What the numbers are, and how they were obtained: ``tests/reference/README.md``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import patsy

from glmmjax.families import Binomial, Family, Poisson
from glmmjax.options import StudentTPenalty

__all__ = ["CASES", "Estimate", "Point", "ReferenceCase", "load_case"]

FOLDER = Path(__file__).parent / "reference"
CASES = tuple(sorted(path.stem for path in FOLDER.glob("o*.json")))
_FAMILIES = {"binomial": Binomial, "poisson": Poisson}


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A stated parameter point with the log-likelihoods there, the penalty taken off."""

    label: str
    beta: np.ndarray  # (p,) in patsy's column order
    D: np.ndarray  # (q, q)
    llf: dict[int, float]  # by points per dimension; 1 is Laplace's method
    brute_force: float | None  # by direct integration
    penalty: float  # log of the penalty, 0 without one


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """What one program reports as its maximum."""

    beta: np.ndarray  # (p,) in patsy's column order
    D: np.ndarray  # (q, q)
    n_agq: int | None
    llf: float  # its own words; lme4 leaves constants out when it uses more than one point
    llf_default: float | None  # the engine's value there at the default number of points; a penalty is included
    bse: np.ndarray | None  # (p,) standard errors of beta
    theta_bse: dict[str, float] | None  # on R's scale, R's names: also D_11, the log standard deviation for one effect
    brute_force: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceCase:
    """One data set with one model. ``fixed``, ``random`` and the rest are arguments of ``mixed_model``."""

    name: str
    data: pd.DataFrame
    fixed: str
    random: str
    family: Family
    group: str
    weights: pd.Series | None  # by cluster label, in order of first appearance
    penalty: StudentTPenalty | None
    n_agq: int  # the default
    q: int
    singular: bool  # D at or near its boundary at the maximum
    fixed_names: tuple[str, ...]  # patsy's names in patsy's order
    r_names: dict[str, str]  # R's name -> patsy's
    points: tuple[Point, ...]
    maximum: Estimate  # of the default rule
    peers: dict[str, Estimate]

    @property
    def best_peer_llf(self) -> float:
        """Highest log-likelihood (with its penalty) at any peer's estimates, by the engine at the default number of points."""
        return max(peer.llf_default for peer in self.peers.values() if peer.llf_default is not None)

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``mixed_model``."""
        extra: dict[str, Any] = {} if self.weights is None else {"weights": self.weights.to_numpy()}
        if self.penalty is not None:
            extra["penalized"] = self.penalty
        return {"fixed": self.fixed, "random": self.random, "data": self.data, "family": self.family, **extra}


@functools.cache
def load_case(name: str) -> ReferenceCase:
    """The case whose name starts with ``name``, such as ``"o01"``."""
    (path,) = FOLDER.glob(f"{name}*.json")
    stored = json.loads(path.read_text(encoding="utf-8"))
    data = _read_data(stored)
    fixed, group = stored["formulas"]["fixed"], stored["group"]
    r_names = name_map(stored["columns"]["X"], stored["factors"])
    names = _patsy_names(fixed, data)
    r_order = [{_terms(patsy_name): r_name for r_name, patsy_name in r_names.items()}[_terms(name)] for name in names]
    estimates = {key: _estimate(value, r_order) for key, value in stored["estimates"].items()}
    return ReferenceCase(
        name=stored["case"],
        data=data,
        fixed=fixed,
        random=stored["formulas"]["random"],
        family=_FAMILIES[stored["family"]](link=stored["link"]),
        group=group,
        weights=_weights(stored["cluster_weights"], data[group]),
        penalty=_penalty(stored["penalty"]),
        n_agq=stored["default_nAGQ"],
        q=len(stored["columns"]["Z"]),
        singular=stored["estimates"]["engine_max"]["near_boundary_D"],
        fixed_names=names,
        r_names=dict(zip(r_order, names, strict=True)),
        points=tuple(_point(value, r_order) for value in stored["likelihood_values"]),
        maximum=estimates["engine_max"],
        peers={key: value for key, value in estimates.items() if not key.startswith("engine")},
    )


def name_map(r_columns: list[str], factors: dict[str, list[str]]) -> dict[str, str]:
    """R's column names -> patsy's, built from the factors: ``sexfemale:time`` -> ``sex[T.female]:time``."""
    pieces = {f"{factor}{level}": f"{factor}[T.{level}]" for factor, levels in factors.items() for level in levels[1:]}
    pieces["(Intercept)"] = "Intercept"
    return {column: ":".join(pieces.get(piece, piece) for piece in column.split(":")) for column in r_columns}


def _terms(name: str) -> frozenset[str]:
    """The factors of a column: the two programs may write an interaction in either order."""
    return frozenset(name.split(":"))


def _patsy_names(fixed: str, data: pd.DataFrame) -> tuple[str, ...]:
    return tuple(patsy.dmatrix(fixed.split("~")[1], data).design_info.column_names)


def _read_data(stored: dict[str, Any]) -> pd.DataFrame:
    factors = stored["factors"]
    data = pd.read_csv(FOLDER / stored["csv"], dtype=dict.fromkeys(factors, str))
    return data.assign(**{name: pd.Categorical(data[name], categories=levels) for name, levels in factors.items()})


def _weights(stored: dict[str, float] | None, labels: pd.Series) -> pd.Series | None:
    return None if stored is None else pd.Series({label: float(stored[str(label)]) for label in labels.unique()})


def _penalty(stored: dict[str, float] | None) -> StudentTPenalty | None:
    if stored is None:
        return None
    return StudentTPenalty(float(stored["pen_mu"]), float(stored["pen_sigma"]), float(stored["pen_df"]), joint=True)


def _beta(betas: dict[str, float], r_order: list[str]) -> np.ndarray:
    return np.array([betas[name] for name in r_order])


def _point(stored: dict[str, Any], r_order: list[str]) -> Point:
    penalty, brute_force = stored["penalty_term"] or 0.0, stored["brute_force"]
    return Point(
        label=stored["label"],
        beta=_beta(stored["parameters"]["betas"], r_order),
        D=np.array(stored["parameters"]["D"]),
        llf={int(key.removeprefix("nAGQ")): value - penalty for key, value in stored["agq"].items()},
        brute_force=None if brute_force is None else brute_force["value"] - penalty,
        penalty=penalty,
    )


def _estimate(stored: dict[str, Any], r_order: list[str]) -> Estimate:
    errors = stored.get("se", stored.get("se_betas"))
    return Estimate(
        beta=_beta(stored["betas"], r_order),
        D=np.array(stored["D"]),
        n_agq=stored.get("nAGQ"),
        llf=stored["logLik"],
        llf_default=stored.get("loglik_nAGQ_default_at_estimates"),
        bse=None if errors is None else _beta(errors, r_order),
        theta_bse=stored.get("se"),
        brute_force=stored.get("brute_force_loglik"),
    )
