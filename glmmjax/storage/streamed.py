"""The design of a streamed fit, which has no rows: names, clusters and recipe, enough for new data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from glmmjax.design import Design, ModelArguments, StreamedRows
from glmmjax.design.builder import stored_design
from glmmjax.design.kept import KeptOfStream, RowLabels
from glmmjax.errors import RowsNotKeptError
from glmmjax.likelihood.covariance import STRUCTURES, BlockDiagonal
from glmmjax.storage.columns import decode_index, encode_index
from glmmjax.storage.values import Arrays, decode, encode

__all__ = ["LostRows", "decode_streamed", "encode_streamed"]

_COLUMNS = ("success_level", "fixed_names", "random_names", "random_reach")
_LABELS = ("n_dropped", "cluster_sizes")


class LostRows:
    """The source of the stream of a fit that was loaded: an error that says to pass the stream again."""

    def __init__(self, path: str):
        self.path = path

    def __call__(self) -> Any:
        raise RowsNotKeptError(
            f"the fit was loaded from {self.path!r}, which does not hold the rows of its stream; pass them, update(data=gj.stream(...))."
        )


def encode_streamed(design: Design, arrays: Arrays) -> dict[str, Any]:
    """The parts of ``design`` that the arguments of the fit do not give again."""
    rows: Any = design.rows  # a ``StreamedRows``
    places, *digests = rows
    recipe, structure = design.recipe, design.covariance
    predictor: Any = recipe.predictors["main"]
    return {
        **{name: encode(getattr(design, name), arrays, name) for name in (*_COLUMNS, *_LABELS)},
        "slots": encode(places, arrays, "slots"),
        "digests": [digest.hex() for digest in digests],
        "blocks": structure.q if structure.entries is None else list(structure.block_sizes),
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
    columns, labels = ({name: decode(found[name], arrays) for name in names} for names in (_COLUMNS, _LABELS))
    blocks = found["blocks"]
    kept = KeptOfStream(
        rows=StreamedRows(decode(found["slots"], arrays), *(bytes.fromhex(digest) for digest in found["digests"])),
        labels=RowLabels(groups=decode_index(found["groups"], arrays), row_labels=pd.RangeIndex(found["n_rows"]), **labels),
        covariance=BlockDiagonal(tuple(blocks)) if isinstance(blocks, list) else STRUCTURES[str(given.covariance)](blocks),
        learned=decode(found["learned"], arrays),
        columns=tuple(found["columns"]),
        levels={name: decode_index(index, arrays) for name, index in found["levels"]},
        outcome_levels=decode(found["outcome_levels"], arrays),
        offsets=found["offsets"],
        **columns,
    )
    return stored_design(given, env, kept)
