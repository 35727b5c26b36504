"""The design of a streamed fit, which has no rows: names, clusters and recipe, enough for new data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from glmmjax.design import Design, ModelArguments
from glmmjax.design.arguments import family_of, parts_of
from glmmjax.design.columns.predictor import predictor_from
from glmmjax.design.columns.recipe import Recipe
from glmmjax.design.columns.table import describe_unknown
from glmmjax.design.design import expressions_of
from glmmjax.design.formula.matrices import formula_namespace, names_used
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.stream.design import StreamedClusters
from glmmjax.errors import FormulaError, RowsNotKeptError
from glmmjax.likelihood.covariance import BlockDiagonal, structure_named
from glmmjax.storage.columns import decode_index, encode_index
from glmmjax.storage.values import Arrays, decode, encode

__all__ = ["LostRows", "decode_streamed", "encode_streamed"]

_PLAIN = ("success_level", "fixed_names", "random_names", "n_dropped", "random_reach", "cluster_sizes")


class LostRows:
    """The source of the stream of a fit that was loaded: an error that says to pass the stream again."""

    def __init__(self, path: str):
        self.path = path

    def __call__(self) -> Any:
        raise RowsNotKeptError(
            f"the fit was loaded from {self.path!r}, which does not hold the rows of its stream; pass them, update(data=gj.stream(...))."
        )


def encode_streamed(design: Design, arrays: Arrays) -> dict[str, Any]:
    """The parts of ``design`` that the arguments of the call do not give again."""
    clusters: Any = design.clusters
    recipe, structure = design.recipe, design.covariance
    predictor: Any = recipe.predictors["main"]
    return {
        **{name: encode(getattr(design, name), arrays, name) for name in _PLAIN},
        "slots": encode(clusters.slots, arrays, "slots"),
        "digests": [clusters.outcome_digest.hex(), clusters.weights_digest.hex()],
        "blocks": list(structure.sizes) if isinstance(structure, BlockDiagonal) else structure.q,
        "groups": encode_index(design.groups, arrays, "the cluster labels"),
        "n_rows": len(design.row_labels),
        "learned": encode(predictor.remembered(), arrays, "what the formula learned from the rows"),
        "columns": list(recipe.columns),
        "levels": [[name, encode_index(levels, arrays, f"the levels of {name!r}")] for name, levels in recipe.levels.items()],
        "outcome_levels": encode(recipe.outcome_levels, arrays, "the levels of the outcome"),
        "offsets": dict(recipe.offsets),
    }


def decode_streamed(found: Mapping[str, Any], given: ModelArguments, env: Mapping[str, Any], arrays: Arrays) -> Design:
    """The design of ``encode_streamed``."""
    parts, blocks, columns = parts_of(given), found["blocks"], tuple(found["columns"])
    clusters: Any = StreamedClusters(decode(found["slots"], arrays), *(bytes.fromhex(digest) for digest in found["digests"]))
    namespace = _namespace(expressions_of(parts), columns, env, parts.text)
    predictor = predictor_from(parts.right_sides["main"], namespace, parts.text, decode(found["learned"], arrays))
    levels = {name: decode_index(index, arrays) for name, index in found["levels"]}
    outcome_levels = decode(found["outcome_levels"], arrays)
    return Design(
        clusters=clusters,
        covariance=BlockDiagonal(tuple(blocks)) if isinstance(blocks, list) else structure_named(str(given.covariance), blocks),
        outcome_name=parts.outcome,
        family=family_of(given),
        levels=(),
        zi_fixed_names=(),
        dispersion_names=(),
        group_name=parts.group,
        groups=decode_index(found["groups"], arrays),
        row_labels=pd.RangeIndex(found["n_rows"]),
        order=None,
        formula=parts,
        recipe=Recipe({"main": predictor}, namespace, columns, levels, outcome_levels, found["offsets"]),
        **{name: decode(found[name], arrays) for name in _PLAIN},
    )


def _namespace(expressions: tuple[str, ...], columns: tuple[str, ...], env: Mapping[str, Any], formula: str) -> Mapping[str, Any]:
    """What names mean that are no columns, each of which must be there."""
    namespace = formula_namespace(env)
    for name in (name for expression in expressions for name in names_in(expression)):
        if name.text not in namespace and (name.is_called or name.text not in columns):
            raise FormulaError(describe_unknown(name.text, pd.DataFrame(columns=list(columns)), formula))
    return names_used(expressions, namespace, columns)
