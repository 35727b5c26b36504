"""Detection of fixed-effects columns that are linear combinations of others."""

from __future__ import annotations

import numpy as np

from glmmjax.errors import DesignError

__all__ = ["aliased_columns", "check_rank"]

_ALIASED = 1e-7  # as in R's lm: a column is aliased when the columns before it leave less than this fraction of its length
_WITH_CONSTANT = ("cr(", "cc(")  # patsy's splines whose columns sum to 1
_CLEAR = 1e-5  # above this fraction the cross-products decide: they are exact to about 1e-8 on the same scale


def check_rank(values: np.ndarray, names: tuple[str, ...], what: str = "the fixed effects") -> None:
    """Refuse a rank-deficient (n, p) matrix with columns ``names``.

    Raises
    ------
    DesignError
        Naming each aliased column and the columns that give it.
    """
    aliased = aliased_columns(values)
    if not aliased:
        return
    kept = [j for j in range(values.shape[1]) if j not in aliased]
    reasons = ", ".join(_explain(values, names, j, [k for k in kept if k < j]) for j in aliased[:5])
    more = f" and {len(aliased) - 5} more" if len(aliased) > 5 else ""
    advice = "take the aliased terms out of the formula, or merge levels that never occur together"
    if any(names[j].startswith(_WITH_CONSTANT) for j in aliased):
        advice = "cr(...) and cc(...) hold the intercept: write ns(x, 3), or cr(x, df=3, constraints='center')"
    raise DesignError(
        f"{what} have {values.shape[1]} columns but rank {len(kept)}: {reasons}{more}. Their coefficients cannot be told apart; {advice}."
    )


def aliased_columns(values: np.ndarray) -> list[int]:
    """Columns that are linear combinations of columns before them, as R's ``lm`` finds them.

    A Cholesky factor of the scaled cross-products screens, and only a doubtful matrix is orthogonalised.
    """
    return [] if _is_clearly_full_rank(values) else _sequential_aliases(values)


def _is_clearly_full_rank(values: np.ndarray) -> bool:
    n, p = values.shape
    if p == 0 or p > n:
        return p == 0
    with np.errstate(all="ignore"):
        gram = values.T @ values
        length = np.sqrt(np.diagonal(gram))
        scaled = gram / np.outer(length, length)
    if not np.isfinite(scaled).all():
        return False
    try:
        # the diagonal of the factor holds the length that the columns before it leave of each column
        return bool(np.diagonal(np.linalg.cholesky(scaled)).min() > _CLEAR)
    except np.linalg.LinAlgError:
        return False


def _sequential_aliases(values: np.ndarray) -> list[int]:
    """Gram-Schmidt, each column against the independent ones before it, twice for accuracy."""
    n, p = values.shape
    basis = np.empty((n, min(n, p)), order="F")
    aliased: list[int] = []
    for j in range(p):
        column = values[:, j] / (np.abs(values[:, j]).max(initial=0.0) or 1.0)
        length = np.linalg.norm(column)
        done = basis[:, : j - len(aliased)]
        for _ in range(2):
            column = column - done @ (done.T @ column)
        left = np.linalg.norm(column)
        if left <= _ALIASED * length or done.shape[1] == n:
            aliased.append(j)
        else:
            basis[:, done.shape[1]] = column / left
    return aliased


def _explain(values: np.ndarray, names: tuple[str, ...], j: int, before: list[int]) -> str:
    if not values[:, j].any():
        return f"{names[j]!r} is 0 in every row"
    scale = np.linalg.norm(values[:, before], axis=0)
    weights = np.linalg.lstsq(values[:, before] / scale, values[:, j] / np.linalg.norm(values[:, j]), rcond=None)[0]
    sources = [repr(names[k]) for k, weight in zip(before, weights, strict=True) if abs(weight) > 1e-6]
    return f"{names[j]!r} follows from {', '.join(sources)}"
