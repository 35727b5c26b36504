"""``Design``: the arrays of a model with their labels. ``builder`` makes it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from glmmjax.arguments import Judged, Text, takes
from glmmjax.design.columns.factors import Factor
from glmmjax.design.columns.recipe import Recipe
from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.layout.block_files import StreamedRows
from glmmjax.design.layout.nesting import LowerLevel
from glmmjax.design.layout.new_values import with_many_outcomes, with_new_offset, with_new_outcome, with_new_weights
from glmmjax.errors import ArgumentError, RowsNotKeptError
from glmmjax.families import Family
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.structure import Structure

__all__ = ["Design", "in_memory"]

_VALUES = Judged("numbers, one for each row or cluster, traced or not")


@dataclasses.dataclass(frozen=True)
class Design:
    """Arrays of a model with the labels that belong to them. ``clusters`` is the pytree for the pure layer.

    Attributes
    ----------
    rows : the rows in blocks of clusters; of a stream, what is kept of them
    formula : the formulas in pieces of plain text
    family : the family given, with the number of levels that the data show, and a predictor for the dispersion where one is asked for
    covariance : structure of D, the covariance matrix of the random effects
    fixed_names : (p,) columns of X, patsy's names
    random_names : (q,) columns of Z
    zi_fixed_names : (p_zi,), () without a zero part
    dispersion_names : (p_disp,), () where the extra parameters are constants
    success_level : level counted as 1 of a two-level or boolean outcome, else None
    levels : levels of an ordinal outcome, in order; else ()
    groups : (m,) pandas Index: cluster labels, in order of first appearance
    cluster_sizes : (m,) numpy int, rows of each cluster
    row_labels : (n,) pandas Index: the caller's labels of the rows used, in the caller's order
    order : ``RowOrder`` that says where each row used stands in ``clusters``; None for a stream
    n_dropped : rows dropped for missing values
    random_reach : (q,) numpy: largest absolute value of each random-effects column
    recipe : what makes the same columns of other rows
    n_upper : random effects of the upper of two levels, which are the first; 0 where there is one level
    lower : the clusters inside ``groups``; None where there is one level
    factors : crossed factors, whose rows are clusters of one row each; () where there are none
    row_weights : (n,) numpy: frequencies of the rows of ``row_labels``; None where each counts once
    """

    rows: ClusterData | StreamedRows
    formula: FormulaParts
    family: Family
    covariance: Structure
    fixed_names: tuple[str, ...]
    random_names: tuple[str, ...]
    zi_fixed_names: tuple[str, ...]
    dispersion_names: tuple[str, ...]
    success_level: Any
    levels: tuple[Any, ...]
    groups: Any
    cluster_sizes: Any
    row_labels: Any
    order: Any
    n_dropped: int
    random_reach: Any
    recipe: Recipe
    n_upper: int = 0
    lower: LowerLevel | None = None
    factors: tuple[Factor, ...] = ()
    row_weights: Any = None

    @property
    def clusters(self) -> ClusterData:
        """The rows in blocks of clusters.

        Raises
        ------
        RowsNotKeptError
            For a stream.
        """
        return in_memory(self.rows)

    @property
    def is_streamed(self) -> bool:
        """Whether the rows came from a stream and are not in memory."""
        return isinstance(self.rows, StreamedRows)

    @property
    def outcome_name(self) -> str:
        """Left side of the formula as written."""
        return self.formula.outcome

    @property
    def group_name(self) -> str | None:
        """The cluster variable, None without random effects and for crossed factors."""
        return self.formula.group

    @property
    def units(self) -> Any:
        """Pandas Index of the clusters that have all random effects: the lower of two levels. In order of first appearance."""
        return self.groups if self.lower is None else self.lower.labels

    @property
    def predictor_sizes(self) -> tuple[int, ...]:
        """Numbers of fixed-effects columns of the linear predictors that the model has."""
        others = (self.zi_fixed_names, self.dispersion_names)
        return (len(self.fixed_names), *(len(names) for names in others if names))

    @takes(values=_VALUES, part=Text("'main', 'zero' or 'dispersion'"))
    def with_offset(self, values: Any, part: str = "main") -> ClusterData:
        """The clusters with ``values`` as offset. They replace the offset that formula and arguments gave; nothing is added to it.

        Works inside ``jit``, ``grad`` and ``vmap``; derivatives of ``log_likelihood`` in ``values`` are exact.

        Parameters
        ----------
        values : (n,) one number for each row of ``row_labels``, on the scale of the linear predictor; a NumPy or JAX array, traced or not,
            such as the output of a network.
        part : the linear predictor that gets the offset, ``"main"``, ``"zero"`` or ``"dispersion"``.

        Returns
        -------
        ClusterData
            For ``log_likelihood``, ``cluster_log_likelihoods`` and ``fit_params``.

        Raises
        ------
        ArgumentError
            For another shape or type, or a part that the model does not have.
        RowsNotKeptError
            For a stream.

        Examples
        --------
        >>> import jax.numpy as jnp
        >>> data = gj.datasets.load_intro_binomial()
        >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
        >>> f"{gj.log_likelihood(params, design.with_offset(jnp.full(800, 0.5)), 'binomial'):.2f}"
        '-376.72'
        """
        parts = list(self.formula.right_sides)
        if part not in parts:
            raise ArgumentError(f"with_offset(part={part!r}) is no part of the model {self.formula.text}; choose from {', '.join(parts)}.")
        return with_new_offset(self.clusters, self.order, parts.index(part), values)

    @takes(values=_VALUES)
    def with_outcome(self, values: Any) -> ClusterData:
        """The clusters with other outcomes. Works inside ``jit``, ``vmap`` and ``grad``; derivatives are 0 where they are discrete.

        Parameters
        ----------
        values : (n,) one number for each row of ``row_labels``, or a tuple of such arrays for an outcome in several columns, in the form
            that the family works with: 0 and 1 for two levels, 0, 1, ... for ordered levels. They are not checked against its support.

        Returns
        -------
        ClusterData
            For ``log_likelihood``, ``cluster_log_likelihoods`` and ``fit_params``.

        Raises
        ------
        ArgumentError
            For another shape, type or number of columns.
        RowsNotKeptError
            For a stream.

        Examples
        --------
        >>> import jax.numpy as jnp
        >>> data = gj.datasets.load_intro_binomial()
        >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
        >>> f"{gj.log_likelihood(params, design.with_outcome(1.0 - data['y'].to_numpy()), 'binomial'):.2f}"
        '-812.85'
        """
        return with_new_outcome(self.clusters, self.order, values)

    @takes(values=_VALUES)
    def with_outcomes(self, values: Any) -> ClusterData:
        """The clusters with many outcomes, for ``fit_params_many``: ``y`` has them on a first axis of its own.

        Parameters
        ----------
        values : (R, n) a row for each outcome, in the form of ``with_outcome``; a tuple of such arrays for an outcome in several columns.

        Returns
        -------
        ClusterData
            For ``fit_params_many``.

        Raises
        ------
        ArgumentError
            For another shape, type or number of columns.
        RowsNotKeptError
            For a stream.

        Examples
        --------
        >>> import numpy as np
        >>> data = gj.datasets.load_intro_binomial()
        >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> design.with_outcomes(np.ones((3, 800))).buckets[0].y.shape[0]
        3
        """
        return with_many_outcomes(self.clusters, self.order, values)

    @takes(values=_VALUES)
    def with_weights(self, values: Any) -> ClusterData:
        """The clusters with other weights. Works inside ``jit``, ``grad`` and ``vmap``; derivatives in ``values`` are exact.

        Parameters
        ----------
        values : (m,) one number >= 0 for each cluster, in the order of ``groups``; a NumPy or JAX array, traced or not. Only its shape is
            checked.

        Returns
        -------
        ClusterData
            For ``log_likelihood`` and ``fit_params``; ``cluster_log_likelihoods`` does not weigh.

        Raises
        ------
        ArgumentError
            For another shape or type.
        RowsNotKeptError
            For a stream.

        Examples
        --------
        >>> import jax.numpy as jnp
        >>> data = gj.datasets.load_intro_binomial()
        >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
        >>> f"{gj.log_likelihood(params, design.with_weights(jnp.full(100, 2.0)), 'binomial'):.2f}"
        '-749.13'
        """
        if self.factors:
            raise ArgumentError("with_weights: weights are for clusters, and crossed factors have none.")
        return with_new_weights(self.clusters, values)

    def __getstate__(self) -> dict[str, Any]:
        """NumPy arrays for pickling, because JAX reads its own arrays back in 32 bits where 64 bits are not switched on."""
        return {**vars(self), "rows": self.rows if self.is_streamed else jax.tree.map(np.asarray, self.rows)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if not self.is_streamed:
            with jax.enable_x64(True):
                vars(self)["rows"] = jax.device_put(self.rows)


def in_memory(rows: ClusterData | StreamedRows) -> ClusterData:
    """The rows, if they are in memory.

    Raises
    ------
    RowsNotKeptError
        For those of a stream.
    """
    if isinstance(rows, StreamedRows):
        raise RowsNotKeptError(
            "the fit is of a stream, whose rows are not kept, and this result needs them. Fit a DataFrame of the clusters that you "
            "need it for, from these estimates: mixed_model(..., data=frame, initial_values=fit.params)."
        )
    return rows
