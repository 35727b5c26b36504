"""A fit as a model of the Python package marginaleffects, for its functions ``predictions``, ``comparisons`` and ``slopes``.

That package accepts any object of its class ``ModelAbstract``; a fit becomes one here. It needs the predictions of rows at any
parameters, from which it takes derivatives by finite differences, and the covariance of the parameters, which is that of all of theta:
population averages depend on D too. marginaleffects is imported when a model is made, and is no requirement of glmmjax.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.design.reference_grid import covariates_of, fitted_frame
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.wald import theta_names
from glmmjax.postfit.population.marginal_means import data_of
from glmmjax.postfit.prediction.predict import request_of, values_of
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = ["marginaleffects_model"]


@dataclasses.dataclass(frozen=True, eq=False)
class _SlicedRows:
    """Rows as the model takes them; marginaleffects cuts slices of them."""

    rows: NewRows

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.offset.shape[-1], len(self.rows.X[0])

    def __getitem__(self, cut: slice) -> _SlicedRows:
        x, z = (tuple(matrix[:, cut] for matrix in matrices) for matrices in (self.rows.X, self.rows.Z))
        offset = self.rows.offset[:, cut]
        return _SlicedRows(self.rows._replace(X=x, Z=z, offset=offset, is_complete=np.ones(offset.shape[-1], bool)))


def marginaleffects_model(fitted: FittedModel, kind: str) -> Any:
    """A ``marginaleffects.classes.ModelAbstract``; see ``MixedModelResults.to_marginaleffects``."""
    data = fitted_frame(fitted.design, data_of(fitted, needed=True))
    return _model_class()(fitted, kind, data)


def _robust_of(vcov: Any) -> bool | str:
    """The argument ``robust`` that marginaleffects calls ``vcov``, where True stands for the usual covariance."""
    robust = False if vcov is True else vcov
    ROBUST.check("vcov", robust)
    return robust


@functools.cache
def _model_class() -> type[Any]:
    """The class, made when marginaleffects is first needed."""
    try:
        import polars as pl
        from marginaleffects.classes import ModelAbstract, ModelVault
    except ImportError:
        raise ArgumentError("to_marginaleffects() needs the package marginaleffects: pip install 'glmmjax[marginaleffects]'.") from None

    class GlmmjaxModel(ModelAbstract):
        """The methods that marginaleffects calls."""

        def __init__(self, fitted: FittedModel, kind: str, data: pd.DataFrame):
            design = fitted.design
            self.request = request_of(fitted, kind, "probability" if fitted.problem.family.is_ordinal else "response")
            columns = [name for name in dict.fromkeys([*design.recipe.columns, *covariates_of(design)]) if name in data.columns]
            frame = pl.DataFrame([_series(pl, name, data[name], design.recipe.levels.get(name)) for name in columns])
            vault = ModelVault(
                coef=np.array(fitted.theta),
                coefnames=np.array(theta_names(fitted)),
                formula=lambda newdata: (None, self.get_exog(newdata)),  # a text would be parsed by its own rules
                modeldata=frame,
                package="glmmjax",
                variable_names=[design.outcome_name, *covariates_of(design)],
            )
            super().__init__(fitted, vault)

        def get_vcov(self, vcov: Any = True) -> Any:
            return None if vcov is False or vcov is None else covariance(self.model, _robust_of(vcov))

        def get_exog(self, newdata: Any) -> _SlicedRows:
            levels = self.model.design.recipe.levels
            frame = pd.DataFrame({name: _column(newdata[name], levels.get(name)) for name in newdata.columns})
            rows = read_new_rows(self.model.design, frame)
            if not rows.is_complete.all():
                raise ArgumentError("newdata has missing values in columns that the model needs; leave these rows out first.")
            return _SlicedRows(rows)

        def get_predict(self, params: np.ndarray, newdata: Any) -> Any:
            exog = newdata if isinstance(newdata, _SlicedRows) else self.get_exog(newdata)
            with jax.enable_x64(True):
                at = jax.tree.map(np.asarray, self.model.problem.layout.params(jnp.asarray(params)))
            values = values_of(dataclasses.replace(self.model, params=at), self.request, exog.rows, None)
            row = np.tile(np.arange(values.shape[1], dtype=np.int32), len(values))
            columns: dict[str, Any] = {"rowid": row}
            if self.model.problem.family.is_ordinal:
                columns["group"] = np.repeat([str(level) for level in self.model.design.levels], values.shape[1])
            return pl.DataFrame({**columns, "estimate": values.ravel()})

    return GlmmjaxModel


def _series(pl: Any, name: str, column: pd.Series, levels: Any) -> Any:
    """A column for polars; levels as an ``Enum`` in their order."""
    if levels is None:
        return pl.Series(name, column.to_numpy())
    return pl.Series(name, [str(value) for value in column], dtype=pl.Enum([str(level) for level in levels]))


def _column(column: Any, levels: Any) -> Any:
    """A column of polars for ``read_new_rows``; texts of levels as the levels."""
    values = column.to_numpy()
    if levels is None:
        return values
    known = {str(level): level for level in levels}
    return pd.Series([known.get(str(value), value) for value in values])
