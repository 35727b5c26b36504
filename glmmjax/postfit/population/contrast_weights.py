"""Which means a contrast is made of: weights by text, matrix or label, and the strata within which means are compared."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from glmmjax.arguments import OneOf
from glmmjax.errors import ArgumentError
from glmmjax.values import NOT_NUMBERS, check_size

__all__ = ["Stratum", "strata_of", "weights_of"]


class Stratum(NamedTuple):
    """Means that are compared with one another.

    Attributes
    ----------
    names : columns that make the strata, () without any
    key : their values in this stratum
    places : (G,) which means
    labels : (G,) labels of the means, without the columns of the strata
    """

    names: tuple[str, ...]
    key: tuple[Any, ...]
    places: np.ndarray
    labels: list[Any]


def strata_of(labels: Any, within: str | list[str] | tuple[str, ...] | None) -> list[Stratum]:
    """The strata in order of first appearance; one without ``within``, whose names are among those of the pandas Index ``labels``.

    Raises
    ------
    ArgumentError
        Where a stratum has nothing left to compare.
    """
    if within is None:
        return [Stratum((), (), np.arange(len(labels)), list(labels))]
    names = (within,) if isinstance(within, str) else tuple(within)
    own = list(labels.names)
    where, left = [own.index(name) for name in names], [k for k, name in enumerate(own) if name not in names]
    if not left:
        raise ArgumentError(
            f"within={within!r} leaves no column whose values are compared: name it by by=, or give it several values in newdata."
        )
    rows = [label if isinstance(label, tuple) else (label,) for label in labels]
    places: dict[tuple[Any, ...], list[int]] = {}
    for k, row in enumerate(rows):
        places.setdefault(tuple(row[at] for at in where), []).append(k)
    short = lambda row: row[left[0]] if len(left) == 1 else tuple(row[at] for at in left)  # noqa: E731
    return [Stratum(names, key, np.array(chosen), [short(rows[k]) for k in chosen]) for key, chosen in places.items()]


def weights_of(contrast: Any, labels: list[Any], sign: str) -> tuple[np.ndarray, list[str]]:
    """(k, G) weights of the G means with these labels, and names of the contrasts.

    Raises
    ------
    ArgumentError
        For a text that is not known, weights of another shape, and labels that no mean has.
    """
    texts = [_text(label) for label in labels]
    n = len(texts)
    if isinstance(contrast, str):
        OneOf("pairwise", "reference", "sequential").check("contrast", contrast)
        if n < 2:
            raise ArgumentError(f"contrast={contrast!r} compares at least two means, and there is {n}; give more rows or groups.")
        n_pairs = n * (n - 1) // 2 if contrast == "pairwise" else n - 1
        check_size(f"contrast={contrast!r} of {n:,} means", (n_pairs, n), "give a grid of few rows, or groups of rows with by=")
        pairs = {
            "pairwise": lambda: list(itertools.combinations(range(n), 2)),
            "reference": lambda: [(0, k) for k in range(1, n)],
            "sequential": lambda: list(itertools.pairwise(range(n))),
        }[contrast]()
        weights = np.zeros((len(pairs), n))
        for k, (first, second) in enumerate(pairs):
            weights[k, second], weights[k, first] = 1.0, -1.0
        return weights, [f"{texts[second]}{sign}{texts[first]}" for first, second in pairs]
    if isinstance(contrast, Mapping):
        rows = [_named_weights(name, row, labels) for name, row in contrast.items()]
        return _checked(rows, n), [str(name) for name in contrast]
    weights = _checked(contrast, n)
    index: Any = getattr(contrast, "index", None)
    has_labels = index is not None and not callable(index)  # a list has a method of that name
    names = [_text(label) for label in index] if has_labels else [f"contrast {k + 1}" for k in range(len(weights))]
    return weights, names


def _named_weights(name: Any, row: Any, labels: list[Any]) -> Any:
    if not isinstance(row, Mapping):
        return row
    unknown = [label for label in row if label not in labels]
    if unknown:
        raise ArgumentError(f"contrast[{name!r}] has a weight for {unknown[0]!r}; the means are of {', '.join(map(repr, labels))}.")
    return [row.get(label, 0.0) for label in labels]


def _checked(weights: Any, n: int) -> np.ndarray:
    try:
        found = np.atleast_2d(np.asarray(weights, float))
    except NOT_NUMBERS:
        raise ArgumentError(f"contrast must be text, a matrix of weights, or a dict of them, not {type(weights).__name__}.") from None
    if found.ndim != 2 or found.shape[1] != n or not len(found) or not np.isfinite(found).all():
        raise ArgumentError(f"contrast has shape {found.shape} and must hold finite weights, one column for each of the {n} means.")
    return found


def _text(label: Any) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
