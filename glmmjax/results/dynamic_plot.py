"""Plots of dynamic predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, LEVEL, TABLE, Maybe, Text, takes
from glmmjax.fitted import FittedModel
from glmmjax.plots import dynamic as plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DynamicPlot"]


class DynamicPlot:
    """What was seen of subjects and what follows."""

    fitted_model: FittedModel

    @takes(history=TABLE, x=Text("the name of a column of numbers, such as 'time'"), newdata2=Maybe(TABLE), level=LEVEL, ax=AXES)
    def plot_dynamic(self, history: Any, x: str, newdata2: Any = None, *, level: float = 0.95, ax: Any = None) -> Axes:
        """Dynamic predictions: the outcomes of a history, and the mean that follows with its interval, given that history.

        Parameters
        ----------
        history : rows of one to six subjects with their outcomes; they need not be those of the fit.
        x : column along the axis, such as time.
        newdata2 : rows to predict, of the same subjects. Without them the prediction goes from the last row of each subject to the largest
            ``x`` of the rows fitted, with other columns as in that row.
        level : coverage of the intervals of the mean, as in ``predict(kind="subject_specific", interval=level)``.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For a model without random effects, an ordinal outcome, too many subjects, and as ``predict``.
        DesignError, FormulaError, OutcomeError
            As ``predict``.

        Examples
        --------
        >>> data = gj.datasets.load_intro_binomial()
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> ax = fit.plot_dynamic(data[(data["id"] == 2) & (data["time"] < 6)], "time")
        >>> ax.get_ylabel()
        'Pr(y = 1): seen, then predicted, 95 % interval'
        """
        return plots.plot_dynamic(self.fitted_model, history, x, newdata2, level, ax)
