"""The reference cases as records in glmmjax's terms: patsy's names and column order, categoricals in R's level order.

What the numbers are, and how they were obtained: ``tests/reference/README.md``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import patsy

from glmmjax import families
from glmmjax.families import Family
from glmmjax.options import StudentTPenalty

__all__ = ["CASES", "FAMILY_CASES", "Estimate", "Point", "ReferenceCase", "load_case"]

FOLDER = Path(__file__).parent / "reference"
# R's name -> the family, of the link and the options of a case
_FAMILIES: dict[str, Callable[..., Family]] = {
    "binomial": families.Binomial,
    "poisson": families.Poisson,
    "negative.binomial": families.NegativeBinomial,
    "beta": families.Beta,
    "gamma": families.Gamma,
    "beta.binomial": families.BetaBinomial,
    "students.t": lambda link, df: families.StudentT(df=float(df)),
    "censored.normal": lambda link: families.CensoredNormal(),
    "zi.poisson": families.ZeroInflatedPoisson,
    "zi.negative.binomial": families.ZeroInflatedNegativeBinomial,
    "zi.binomial": families.ZeroInflatedBinomial,
    "hurdle.poisson": families.HurdlePoisson,
    "hurdle.negative.binomial": families.HurdleNegativeBinomial,
    "hurdle.lognormal": lambda link: families.HurdleLognormal(),
    "hurdle.beta": families.HurdleBeta,
    "unit.lindley": lambda link: families.UnitLindley(),
    "compoisson": lambda link, max: families.ConwayMaxwellPoisson(of="rate", n_terms=max + 1),
}


def _stems(is_first: bool) -> tuple[str, ...]:
    """Cases of the first two families, or of the others; a file without a family holds no fits."""
    stored = {path.stem: json.loads(path.read_text(encoding="utf-8")).get("family") for path in sorted(FOLDER.glob("o*.json"))}
    return tuple(stem for stem, family in stored.items() if family and (family in ("binomial", "poisson")) == is_first)


CASES, FAMILY_CASES = _stems(is_first=True), _stems(is_first=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A stated parameter point with the log-likelihoods there, the penalty taken off."""

    label: str
    beta: np.ndarray  # (p,) in patsy's column order
    D: np.ndarray  # (q, q)
    llf: dict[int, float]  # by points per dimension; 1 is Laplace's method
    brute_force: float | None  # by direct integration
    penalty: float  # log of the penalty, 0 without one
    phi: np.ndarray  # (n_phi,) free scale
    gamma: np.ndarray  # (p_zi,) in patsy's column order


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
    phi: np.ndarray
    gamma: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceCase:
    """One data set with one model. ``fixed``, ``random`` and the rest are arguments of ``mixed_model``."""

    name: str
    data: pd.DataFrame
    fixed: str
    random: str
    family: Family
    zi_fixed: str | None
    zi_random: str | None
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
        for name in ("zi_fixed", "zi_random"):
            if getattr(self, name) is not None:
                extra[name] = getattr(self, name)
        return {"fixed": self.fixed, "random": self.random, "data": self.data, "family": self.family, **extra}

    @property
    def jacobian(self) -> float:
        """What our log-likelihood has beside the stored one: R's hurdle log-normal is a density of log(y), and leaves out sum(-log y)."""
        if self.family.name != "hurdle_lognormal":
            return 0.0
        y = self.data[self.fixed.split("~")[0].strip()].to_numpy(float)
        return -float(np.log(y[y > 0]).sum())


@functools.cache
def load_case(name: str) -> ReferenceCase:
    """The case whose name starts with ``name``, such as ``"o01"``."""
    (path,) = FOLDER.glob(f"{name}*.json")
    stored = json.loads(path.read_text(encoding="utf-8"))
    data = _read_data(stored)
    fixed, group = stored["formulas"]["fixed"], stored["group"]
    names, r_order = _names_and_order(fixed, data, stored["columns"]["X"], stored["factors"])
    zi_order = _names_and_order(stored["formulas"].get("zi_fixed"), data, stored["columns"].get("X_zi"), stored["factors"])[1]
    estimates = {key: _estimate(value, r_order, zi_order) for key, value in stored["estimates"].items() if "betas" in value}
    return ReferenceCase(
        name=stored["case"],
        data=data,
        fixed=fixed,
        random=stored["formulas"]["random"],
        family=_FAMILIES[stored["family"]](link=stored["link"], **(stored.get("family_options") or {})),
        zi_fixed=stored["formulas"].get("zi_fixed"),
        zi_random=stored["formulas"].get("zi_random"),
        group=group,
        weights=_weights(stored["cluster_weights"], data[group]),
        penalty=_penalty(stored["penalty"]),
        n_agq=stored["default_nAGQ"],
        q=len(stored["columns"]["Z"]) + len(stored["columns"].get("Z_zi") or []),
        singular=stored["estimates"]["engine_max"]["near_boundary_D"],
        fixed_names=names,
        r_names=dict(zip(r_order, names, strict=True)),
        points=tuple(_point(value, r_order, zi_order) for value in stored["likelihood_values"]),
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


def _names_and_order(
    formula: str | None, data: pd.DataFrame, r_columns: list[str] | None, factors: dict[str, list[str]]
) -> tuple[tuple[str, ...], list[str]]:
    """patsy's column names, and R's in the same order."""
    if formula is None or r_columns is None:
        return (), []
    names = tuple(patsy.dmatrix(formula.split("~")[1], data).design_info.column_names)
    by_terms = {_terms(patsy_name): r_name for r_name, patsy_name in name_map(r_columns, factors).items()}
    return names, [by_terms[_terms(name)] for name in names]


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


def _others(stored: dict[str, Any], zi_order: list[str]) -> dict[str, np.ndarray]:
    phi, gammas = stored.get("phis") or [], stored.get("gammas") or {}
    return {"phi": np.array(phi, float).reshape(-1), "gamma": np.array([gammas[name] for name in zi_order])}


def _point(stored: dict[str, Any], r_order: list[str], zi_order: list[str]) -> Point:
    penalty, brute_force = stored["penalty_term"] or 0.0, stored["brute_force"]
    return Point(
        label=stored["label"],
        beta=_beta(stored["parameters"]["betas"], r_order),
        D=np.array(stored["parameters"]["D"]),
        llf={int(key.removeprefix("nAGQ")): value - penalty for key, value in stored["agq"].items()},
        brute_force=None if brute_force is None else brute_force["value"] - penalty,
        penalty=penalty,
        **_others(stored["parameters"], zi_order),
    )


def _estimate(stored: dict[str, Any], r_order: list[str], zi_order: list[str]) -> Estimate:
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
        **_others(stored, zi_order),
    )
