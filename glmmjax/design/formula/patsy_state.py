"""The values that a design matrix has learned from all rows (levels, means, knots, contrasts) in plain types, and back.

patsy refuses to pickle its ``DesignInfo``, so a fit that is stored keeps these values instead: no rows, no code.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import patsy

__all__ = ["remembered", "restored"]


def remembered(info: Any) -> dict[str, Any]:
    """A ``patsy.DesignInfo`` as dicts, lists, texts, numbers and arrays: ``columns``, ``factors`` and ``terms``."""
    numbers = {factor: k for k, factor in enumerate(info.factor_infos)}
    terms = [
        {"factors": [numbers[factor] for factor in term.factors], "codings": [_coding(subterm, numbers) for subterm in subterms]}
        for term, subterms in info.term_codings.items()
    ]
    return {"columns": list(info.column_names), "factors": [_factor(found) for found in info.factor_infos.values()], "terms": terms}


def restored(values: Mapping[str, Any], namespace: Mapping[str, Any]) -> Any:
    """The ``patsy.DesignInfo`` of ``remembered``, with names that are no columns taken from ``namespace``."""
    env = patsy.EvalEnvironment([namespace])
    found = [_factor_info(factor, env) for factor in values["factors"]]
    factors = [info.factor for info in found]
    terms = OrderedDict(
        (patsy.Term([factors[k] for k in term["factors"]]), [_subterm(coding, factors) for coding in term["codings"]])
        for term in values["terms"]
    )
    return patsy.DesignInfo(values["columns"], dict(zip(factors, found, strict=True)), terms)


def _factor(found: Any) -> dict[str, Any]:
    """One expression of a formula, with the attributes of each object that learned from the rows (``center(x)`` has one)."""
    return {
        "code": found.factor.code,
        "type": found.type,
        "width": found.num_columns,
        "levels": None if found.categories is None else list(found.categories),
        "learned": {name: dict(vars(transform)) for name, transform in found.state["transforms"].items()},
    }


def _factor_info(values: Mapping[str, Any], env: Any) -> Any:
    factor: Any = patsy.EvalFactor(values["code"])
    state: dict[str, Any] = {}
    factor.memorize_passes_needed(state, env)  # this makes the objects, which have learned nothing yet
    for name, learned in values["learned"].items():
        vars(state["transforms"][name]).update(learned)
    levels = values["levels"]
    return patsy.FactorInfo(factor, values["type"], state, values["width"], None if levels is None else tuple(levels))


def _coding(subterm: Any, numbers: Mapping[Any, int]) -> dict[str, Any]:
    contrasts = {
        str(numbers[factor]): {"matrix": contrast.matrix, "suffixes": list(contrast.column_suffixes)}
        for factor, contrast in subterm.contrast_matrices.items()
    }
    return {"factors": [numbers[factor] for factor in subterm.factors], "contrasts": contrasts, "width": subterm.num_columns}


def _subterm(values: Mapping[str, Any], factors: list[Any]) -> Any:
    contrasts = {
        factors[int(k)]: patsy.ContrastMatrix(contrast["matrix"], contrast["suffixes"]) for k, contrast in values["contrasts"].items()
    }
    return patsy.SubtermInfo([factors[k] for k in values["factors"]], contrasts, values["width"])
