"""Pictures of many fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import AXES, COUNT, LEVEL, Maybe, OneOf, Text, Whole, takes
from glmmjax.plots import many as plots
from glmmjax.postfit.uncertainty.adjustment import ADJUSTMENTS
from glmmjax.results.many_numbers import ManyNumbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ADJUST", "ManyPictures"]

ADJUST = OneOf(ADJUSTMENTS)


class ManyPictures(ManyNumbers):
    """Methods that draw one coefficient of many fits."""

    @takes(ax=AXES, term=Maybe(Text("the name of a coefficient")), adjust=ADJUST, level=LEVEL, n_labels=Whole(0))
    def plot_volcano(
        self, term: str | None = None, adjust: str = "fdr_bh", level: float = 0.05, n_labels: int = 10, ax: Axes | None = None
    ) -> Axes:
        """Estimates of one coefficient against their p-values: what is large, and what is found.

        Parameters
        ----------
        term : the coefficient; by default the first that is no intercept.
        adjust : how p-values are adjusted over the fits, as in ``tidy``; the height is the p-value as it is.
        level : bound of the adjusted p-values below which a fit has a colour.
        n_labels : number of fits with their name, the smallest p-values first.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For another argument.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.plot_volcano().get_xlabel()
        'Estimate of trt[T.progabide]'
        """
        return plots.plot_volcano(self.fitted_many, self._reported, ax, term, plots.Volcano(adjust, level, n_labels))

    @takes(ax=AXES, term=Maybe(Text("the name of a coefficient")), n=COUNT)
    def plot_estimates(self, term: str | None = None, n: int = 500, ax: Axes | None = None) -> Axes:
        """Estimates of one coefficient with 95 % intervals, the fits one under the other in order of the estimate.

        Parameters
        ----------
        term : the coefficient; by default the first that is no intercept.
        n : number of fits that are drawn, evenly over their order where there are more.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For another argument.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.plot_estimates().get_xlabel()
        'trt[T.progabide], 95 % interval'
        """
        return plots.plot_estimates(self.fitted_many, self._reported, ax, term, n)
