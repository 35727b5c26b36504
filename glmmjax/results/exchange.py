"""Tables in other packages' terms, and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from glmmjax.fitted import FittedModel
from glmmjax.marginaleffects_adapter import marginaleffects_model
from glmmjax.storage import save_fit
from glmmjax.tables import tidy as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Exchange"]


class Exchange:
    """How a fit leaves Python."""

    fitted_model: FittedModel

    def tidy(
        self, conf_int: bool = False, level: float = 0.95, exponentiate: bool = False, effects: str = "fixed", robust: bool | str = False
    ) -> pd.DataFrame:
        """One row a parameter, with the column names of R's broom.mixed.

        Parameters
        ----------
        conf_int : add Wald limits, ``conf.low`` and ``conf.high``, as ``conf_int`` makes them.
        level : their coverage.
        exponentiate : exp of the coefficients and their limits (odds ratios, rate ratios); standard errors by the delta method.
            Statistics and p-values are those of the coefficients.
        effects : ``"fixed"`` for the coefficients of all linear predictors, told apart by ``component`` (``cond``, ``zi`` for the zero
            part, ``disp``); ``"ran_pars"`` for standard deviations and correlations of the random effects; ``"extra"`` for the extra
            parameters of the family; ``"all"`` for these three; ``"ran_vals"`` for the random effects of the clusters, with a
            column ``level`` and their conditional standard deviations.
        robust : as in ``cov_params``.

        Returns
        -------
        DataFrame with ``effect``, ``component``, ``group``, ``term``, ``estimate``, ``std.error``, ``statistic``, ``p.value``. NaN for what
        has no standard error or test, such as the random effects' parameters at a singular D.

        Raises
        ------
        ArgumentError
        """
        return tables.tidy_frame(self.fitted_model, conf_int, level, exponentiate, effects, robust)

    def glance(self) -> pd.DataFrame:
        """One row: ``nobs``, ``n.groups``, ``df`` (parameters), ``df.residual``, ``logLik``, ``AIC``, ``BIC``, ``deviance`` (-2 logLik),
        ``family``, ``link``, ``nAGQ``, ``converged``, ``singular``."""
        return tables.glance_frame(self.fitted_model)

    def augment(self, newdata: Any = None, kind: str | None = None) -> pd.DataFrame:
        """The rows used, or ``newdata``, with columns ``.fitted``, ``.fixed`` and, for the rows used, ``.resid``.

        Parameters
        ----------
        newdata : rows to predict; the rows used when not given.
        kind : of ``.fitted`` and ``.resid``, as in ``predict``: by default ``"subject_specific"``, at the random effects of each cluster,
            and for ``newdata`` ``"mean_subject"``. ``.fixed`` is at random effects of 0. All are means of the outcome, and ``.resid`` is
            the outcome minus ``.fitted``.

        Raises
        ------
        ArgumentError, DesignError, RowsNotKeptError
            As ``predict`` does.
        """
        return tables.augment_frame(self.fitted_model, newdata, kind)

    def to_marginaleffects(self, kind: str = "marginal") -> Any:
        """The fit as a model of the package marginaleffects, for ``marginaleffects.avg_comparisons(model, variables="sex")`` and the like.

        Standard errors are by its delta method, with finite differences in all parameters, those of D among them; its argument
        ``vcov`` takes True, False, or ``"CR0"`` to ``"CR3"``. ``marginal_means`` and ``contrasts`` give such numbers without it, from exact
        derivatives.

        Parameters
        ----------
        kind : what is predicted of a row: ``"marginal"``, the mean averaged over the random effects, or ``"mean_subject"``, at random
            effects of 0. Of an ordinal outcome the probability of every level.

        Raises
        ------
        ArgumentError
            Without that package, for another ``kind``, and for a fit whose rows are not kept.
        """
        return marginaleffects_model(self.fitted_model, kind)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a file, from which ``glmmjax.load(path)`` brings it back.

        The file is a zip of JSON and arrays and holds no code: the columns that the model used, all rows of them, the arguments of
        ``mixed_model``, the estimates and the record of convergence. Of a streamed fit it holds no rows. The functions of a family of
        your own, and functions that a formula calls, are code: ``load`` asks for them again. A function given as ``progress`` is left out.

        Parameters
        ----------
        path : of the file, which is replaced if it is there; any name, such as ``"model.glmmjax"``.

        Raises
        ------
        ArgumentError
            For a path in no folder, a column or an argument that cannot be written, and data that have changed since the fit.
        """
        save_fit(self.fitted_model, path)
