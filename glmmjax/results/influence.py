"""Influence of the clusters as ``MixedModelResults.influence`` returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import AXES, FLAG, OneOf, Whole, takes
from glmmjax.plots import refitting as plots
from glmmjax.postfit.refitting.influence import METHODS, PARTS, Influence
from glmmjax.tables import refitting as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["InfluenceResults"]


class InfluenceResults:
    """How much each cluster moves the estimates, as ``fit.influence`` returns it: one set of refits serves all of its methods."""

    def __init__(self, influence: Influence):
        self.record = influence

    @takes(method=OneOf(METHODS), part=OneOf(*PARTS), scaled=FLAG)
    def cooks_distance(self, method: str = "refit", part: str = "fixed", scaled: bool = False) -> pd.Series:
        """Cook's distance of every cluster: how far the coefficients move when it is left out; see ``fit.cooks_distance``.

        Parameters
        ----------
        method, part, scaled : as in ``fit.cooks_distance``.

        Returns
        -------
        Series
            One distance a cluster, by its label.

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``fit.cooks_distance``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.influence().cooks_distance("one_step").nlargest(3).round(2)
        id
        44    0.41
        56    0.23
        96    0.17
        Name: cooks_distance, dtype: float64
        """
        return tables.cooks_series(self.record, method, part, scaled)

    @takes(method=OneOf(METHODS))
    def dfbetas(self, method: str = "refit") -> pd.DataFrame:
        """Change of every parameter when a cluster is left out, in standard errors; see ``fit.dfbetas``.

        Parameters
        ----------
        method : as in ``fit.dfbetas``.

        Returns
        -------
        DataFrame
            One row a cluster, one column a parameter.

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``fit.cooks_distance``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.influence().dfbetas("one_step").loc[[44, 56]].round(1)
            Intercept  sex[T.female]  time  sex[T.female]:time  sd(Intercept)
        id
        44        0.3           -0.2  -0.6                 0.4           -0.2
        56        0.1            0.2  -0.1                -0.3           -0.2
        """
        return tables.dfbetas_frame(self.record, method)

    def leave_cluster_out_score(self) -> pd.Series:
        """Log marginal likelihood of every cluster at the estimates without it; see ``fit.leave_cluster_out_score``.

        Returns
        -------
        Series
            One score a cluster, by its label.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.influence().leave_cluster_out_score().nsmallest(3).round(2)
        id
        56   -8.09
        44   -8.04
        25   -7.43
        Name: leave_cluster_out_score, dtype: float64
        """
        return tables.leave_cluster_out_series(self.record)

    @takes(ax=AXES, method=OneOf(METHODS), part=OneOf(*PARTS), scaled=FLAG, n_labels=Whole(0))
    def plot(self, method: str = "refit", part: str = "fixed", scaled: bool = False, n_labels: int = 5, ax: Axes | None = None) -> Axes:
        """Cook's distances by cluster; see ``fit.plot_influence``.

        Parameters
        ----------
        method, part, scaled, n_labels, ax : as in ``fit.plot_influence``.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``fit.plot_influence``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.influence().plot(method="one_step")
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('Number of the cluster (id)', "Cook's distance, one step")
        """
        return plots.plot_influence(self.record, ax, method, part, scaled, n_labels)
