"""The design of a streamed fit, which has no rows: names, clusters and recipe, enough for new data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from glmmjax.design import Design, ModelArguments, StreamedRows
from glmmjax.design.builder import KeptOfStream, RowLabels, kept_of_stream, stored_design
from glmmjax.errors import RowsNotKeptError
from glmmjax.likelihood.covariance import BlockDiagonal, structure_named
from glmmjax.storage.columns import decode_index, encode_index
from glmmjax.storage.values import Arrays, decode, encode

__all__ = ["LostRows", "decode_streamed", "encode_streamed"]

_PLAIN = ("success_level", "fixed_names", "random_names", "random_reach")  # fields of ``KeptOfStream``


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
    kept = kept_of_stream(design)
    rows, labels, structure = kept.rows, kept.labels, kept.covariance
    return {
        **{name: encode(getattr(kept, name), arrays, name) for name in _PLAIN},
        "n_dropped": encode(labels.n_dropped, arrays, "n_dropped"),
        "cluster_sizes": encode(labels.cluster_sizes, arrays, "cluster_sizes"),
        "slots": encode(rows.slots, arrays, "slots"),
        "digests": [rows.outcome_digest.hex(), rows.weights_digest.hex()],
        "blocks": list(structure.sizes) if isinstance(structure, BlockDiagonal) else structure.q,
        "groups": encode_index(labels.groups, arrays, "the cluster labels"),
        "n_rows": len(labels.row_labels),
        "learned": encode(kept.learned, arrays, "what the formula learned from the rows"),
        "columns": list(kept.columns),
        "levels": [[name, encode_index(levels, arrays, f"the levels of {name!r}")] for name, levels in kept.levels.items()],
        "outcome_levels": encode(kept.outcome_levels, arrays, "the levels of the outcome"),
        "offsets": dict(kept.offsets),
    }


def decode_streamed(found: Mapping[str, Any], given: ModelArguments, env: Mapping[str, Any], arrays: Arrays) -> Design:
    """The design of ``encode_streamed``."""
    plain = {name: decode(found[name], arrays) for name in (*_PLAIN, "n_dropped", "cluster_sizes", "slots", "learned", "outcome_levels")}
    groups, blocks = decode_index(found["groups"], arrays), found["blocks"]
    kept = KeptOfStream(
        rows=StreamedRows(plain["slots"], *(bytes.fromhex(digest) for digest in found["digests"])),
        labels=RowLabels(groups, plain["cluster_sizes"], pd.RangeIndex(found["n_rows"]), plain["n_dropped"]),
        covariance=BlockDiagonal(tuple(blocks)) if isinstance(blocks, list) else structure_named(str(given.covariance), blocks),
        learned=plain["learned"],
        columns=tuple(found["columns"]),
        levels={name: decode_index(index, arrays) for name, index in found["levels"]},
        outcome_levels=plain["outcome_levels"],
        offsets=found["offsets"],
        **{name: plain[name] for name in _PLAIN},
    )
    return stored_design(given, env, kept)
