"""Quantile residuals as ``MixedModelResults.quantile_residuals`` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, Judged, Whole, takes
from glmmjax.plots import checking as plots
from glmmjax.postfit.checking.quantile_residuals import QuantileResidualRecord
from glmmjax.tables import checking as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["QuantileResiduals"]

AGAINST = Judged("'fitted', the name of a fixed-effects column, or one number for each row")


class QuantileResiduals:
    """Randomised quantile residuals with their tests, as ``fit.quantile_residuals`` returns them; ``record`` holds the plain numbers."""

    def __init__(self, record: QuantileResidualRecord):
        self.record = record

    @property
    def values(self) -> pd.Series:
        """Residuals in (0, 1), uniform under the model: Series by the labels of the rows used, in the caller's order."""
        return tables.quantile_residual_series(self.record)

    @property
    def tests(self) -> pd.DataFrame:
        """Tests of the fit: DataFrame, one row a test, with columns ``Observed``, ``Simulated``, ``p-value`` and ``p if independent``.

        ``Observed`` is the statistic and ``Simulated`` its average over the simulations. ``p-value`` is by simulation, and
        ``p if independent`` the closed-form p-value for independent rows, where there is one.

        ``uniformity``: Kolmogorov-Smirnov distance from the uniform distribution (large ones only; the others are two-sided).
        ``dispersion``: variance of the outcomes within clusters, each standardised by mean and standard deviation of its simulations,
        divided by the same variance of simulated data; above 1 the data vary more than under the model. ``outliers``: number of outcomes
        outside all simulated ones. ``zeros``: number of zeros. With ``new_random_effects=True`` p-values by simulation allow for the
        dependence within clusters. With random effects drawn given the data they are too large, because such effects are already close to
        the outcomes.
        """
        return tables.residual_tests_frame(self.record)

    @takes(ax=AXES)
    def plot_qq(self, ax: Any = None) -> Axes:
        """Quantile residuals against the uniform distribution, with the p-values of their tests.

        Parameters
        ----------
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.quantile_residuals(n=50).plot_qq()
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('Expected quantile', 'Quantile residual')
        """
        return plots.plot_qq(self.record, ax)

    @takes(against=AGAINST, n_bins=Whole(1), ax=AXES)
    def plot_residuals(self, against: Any = "fitted", n_bins: int = 10, ax: Any = None) -> Axes:
        """Quantile residuals against fitted values or a covariate, with their quartiles in bins.

        Parameters
        ----------
        against, n_bins, ax : as in ``fit.plot_residuals``.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For another ``against`` or ``n_bins``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.quantile_residuals(n=50).plot_residuals("time", n_bins=5)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('time', 'Quantile residual')
        """
        return plots.plot_residuals(self.record, against, n_bins, ax)

    def __str__(self) -> str:
        return tables.residual_tests_text(self.record)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.residual_tests_html(self.record)
