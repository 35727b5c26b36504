"""Bootstrap refits as ``MixedModelResults.bootstrap`` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import LEVEL, OneOf, takes
from glmmjax.fitted import FittedModel
from glmmjax.postfit.refitting.bootstrap import Bootstrap
from glmmjax.postfit.refitting.bootstrap_limits import INTERVALS
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

    @takes(level=LEVEL, ci=OneOf(INTERVALS))
    def conf_int(self, level: float = 0.95, ci: str = "percentile") -> pd.DataFrame:
        r"""Bootstrap standard errors and intervals, from the refits that converged.

        .. math:: \text{bca:} \quad \Phi\Big(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)}\Big)
                  \text{ is the level of the quantile in the place of } \alpha

        Parameters
        ----------
        level : coverage, between 0 and 1.
        ci : ``"percentile"`` takes quantiles of the draws; ``"basic"`` reflects them at the estimate, on the log scale for standard
            deviations, on Fisher's z for correlations, and on the free scale for extra parameters; ``"bca"`` takes quantiles whose levels
            are corrected for the bias z_0 (the share of the draws below the estimate) and for the acceleration a (the skewness of the
            estimates without each cluster, by one Newton step). With fewer than a thousand draws the levels of ``"bca"`` are rough.

        Returns
        -------
        DataFrame
            One row a parameter, with columns ``estimate`` (that of the fit), ``std_error``, ``lower``, ``upper``. At a singular D its
            standard deviations and correlations have percentiles only, and NaN otherwise; so has ``"bca"`` where all draws lie on one side
            of the estimate.

        Raises
        ------
        ArgumentError
            For another argument; ``"bca"`` also for a fit of one cluster.

        Source: Efron (1987), JASA 82, 171-185; Davison and Hinkley (1997), Bootstrap Methods and their Application, chapter 5.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.bootstrap(n=50).conf_int().loc[["time", "sd(Intercept)"]].round(2)
                       estimate  std_error  lower  upper
        time               0.29       0.04   0.23   0.36
        sd(Intercept)      2.07       0.28   1.69   2.57
        >>> fit.bootstrap(n=2000, kind="wild").conf_int(ci="bca").loc[["time", "sd(Intercept)"]].round(2)
                       estimate  std_error  lower  upper
        time               0.29       0.04   0.20   0.37
        sd(Intercept)      2.07       0.21   1.64   2.47
        """
        return tables.bootstrap_interval_frame(self.fitted_model, self.bootstrap, level, ci)

    def __repr__(self) -> str:
        return tables.bootstrap_text(self.bootstrap)
