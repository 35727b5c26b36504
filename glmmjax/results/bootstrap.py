"""Bootstrap refits as ``MixedModelResults.bootstrap`` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import LEVEL, takes
from glmmjax.fitted import FittedModel
from glmmjax.postfit.refitting.bootstrap import Bootstrap
from glmmjax.tables import refitting as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BootstrapResults"]


class BootstrapResults:
    """Refits to bootstrap data sets, as ``fit.bootstrap`` returns them; ``bootstrap`` holds the plain numbers."""

    def __init__(self, fitted: FittedModel, bootstrap: Bootstrap):
        self.fitted_model = fitted
        self.bootstrap = bootstrap

    @property
    def params(self) -> pd.DataFrame:
        """Estimates of every refit: DataFrame, one row a data set; coefficients, standard deviations, correlations and extra parameters."""
        return tables.bootstrap_parameter_frame(self.fitted_model, self.bootstrap)

    @property
    def converged(self) -> pd.Series:
        """Which refits are certified maxima: Series of bool by data set. The others are in ``params``, and not in ``conf_int``."""
        return tables.bootstrap_converged_series(self.bootstrap)

    @takes(level=LEVEL)
    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Bootstrap standard errors and percentile intervals, from the refits that converged.

        Parameters
        ----------
        level : coverage, between 0 and 1.

        Returns
        -------
        DataFrame
            One row a parameter, with columns ``estimate`` (that of the fit), ``std_error``, ``lower``, ``upper``.

        Raises
        ------
        ArgumentError
            For another ``level``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.bootstrap(n=50).conf_int().loc[["time", "sd(Intercept)"]].round(2)
                       estimate  std_error  lower  upper
        time               0.29       0.04   0.23   0.36
        sd(Intercept)      2.07       0.28   1.69   2.57
        """
        return tables.bootstrap_interval_frame(self.fitted_model, self.bootstrap, level)

    def __repr__(self) -> str:
        return tables.bootstrap_text(self.bootstrap)
