"""Plots of simulations and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, COUNT, FLAG, SEED, Maybe, OneOf, Whole, takes
from glmmjax.fitted import FittedModel
from glmmjax.plots import checking as plots
from glmmjax.postfit.checking.quantile_residuals import FEWEST, quantile_residuals
from glmmjax.postfit.checking.simulate import SOURCES, SimulationSettings
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.results.quantile_residuals import AGAINST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ENOUGH", "SIMULATION", "CheckingPlots"]

SIMULATION = {"new_random_effects": OneOf(True, False, SOURCES), "parameter_uncertainty": FLAG, "seed": SEED, "robust": ROBUST}
ENOUGH = Whole(FEWEST, 10**9, why=": residuals have a resolution of 1 / (n + 1)")


class CheckingPlots:
    """Plots that show whether the model fits the data."""

    fitted_model: FittedModel

    @takes(**SIMULATION, n=ENOUGH, ax=AXES)
    def plot_qq(
        self,
        n: int = 250,
        new_random_effects: bool | str = True,
        parameter_uncertainty: bool = False,
        seed: int = 0,
        robust: bool | str = False,
        ax: Any = None,
    ) -> Axes:
        """Quantile residuals against the uniform distribution, with the p-values of their tests.

        Parameters
        ----------
        n, new_random_effects, parameter_uncertainty, seed, robust : as in ``quantile_residuals``.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``quantile_residuals``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_qq(n=50)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('Expected quantile', 'Quantile residual')
        """
        settings = SimulationSettings(n, new_random_effects, parameter_uncertainty, seed, robust)
        return plots.plot_qq(quantile_residuals(self.fitted_model, settings), ax)

    @takes(**SIMULATION, n=ENOUGH, against=AGAINST, n_bins=Whole(1), ax=AXES)
    def plot_residuals(
        self,
        against: Any = "fitted",
        *,
        n: int = 250,
        new_random_effects: bool | str = True,
        parameter_uncertainty: bool = False,
        seed: int = 0,
        robust: bool | str = False,
        n_bins: int = 10,
        ax: Any = None,
    ) -> Axes:
        """Quantile residuals against fitted values or a covariate, with their quartiles in bins.

        Parameters
        ----------
        against : ``"fitted"``, the ranks of the means at random effects 0; a fixed-effects column by its name; or one number for each row
            used, in the caller's order.
        n, new_random_effects, parameter_uncertainty, seed, robust : as in ``quantile_residuals``.
        n_bins : bins of equally many rows, at least 1; fewer are drawn where the variable has fewer values. Under the model the
            quartiles lie at 0.25, 0.5 and 0.75.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For another ``against`` or ``n_bins``, and as ``quantile_residuals``.
        RowsNotKeptError
            For a streamed fit.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_residuals("time", n=50)
        >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
        ('time', ['0.25', '0.5', '0.75'])
        """
        settings = SimulationSettings(n, new_random_effects, parameter_uncertainty, seed, robust)
        return plots.plot_residuals(quantile_residuals(self.fitted_model, settings), against, n_bins, ax)

    @takes(**SIMULATION, n=COUNT, ax=AXES)
    def plot_predictive(
        self,
        n: int = 100,
        new_random_effects: bool | str = True,
        parameter_uncertainty: bool = False,
        seed: int = 0,
        robust: bool | str = False,
        ax: Any = None,
    ) -> Axes:
        """The empirical distribution of the outcomes among those of ``n`` simulated data sets.

        For successes out of trials it is the distribution of the proportions.

        Parameters
        ----------
        n, new_random_effects, parameter_uncertainty, seed, robust : as in ``simulate``.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For a censored outcome, and as ``simulate``.
        RowsNotKeptError
            For a streamed fit.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_predictive(n=50)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('y', 'Share of outcomes at or below')
        """
        return plots.plot_predictive(self.fitted_model, SimulationSettings(n, new_random_effects, parameter_uncertainty, seed, robust), ax)

    @takes(max_count=Maybe(Whole(0, 10**9), "the largest outcome observed, 100 at most"), ax=AXES)
    def plot_rootogram(self, max_count: int | None = None, ax: Any = None) -> Axes:
        """Observed frequencies of a discrete outcome hanging from the expected ones, on the scale of square roots.

        The expected frequency of a count is the sum over rows of its probability, random effects integrated out by quadrature. Bars that
        reach below 0 are counts more frequent than the model expects.

        Parameters
        ----------
        max_count : largest outcome shown; the largest observed when not given, 100 at most.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For another ``max_count``, and for a continuous outcome.
        RowsNotKeptError
            For a streamed fit.

        Source: Kleiber and Zeileis (2016), The American Statistician 70, 296-303.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_rootogram()
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('y', 'Square root of frequency')
        """
        return plots.plot_rootogram(self.fitted_model, max_count, ax)

    @takes(**SIMULATION, n=ENOUGH)
    def plot_diagnostics(
        self,
        n: int = 250,
        new_random_effects: bool | str = True,
        parameter_uncertainty: bool = False,
        seed: int = 0,
        robust: bool | str = False,
    ) -> Any:
        """Two panels of quantile residuals: against their distribution, and their quartiles against the fitted means, both with 95 % bands.

        The bands are those of simulated data sets, so that they allow for the dependence within clusters. A test with a p-value below
        0.05 is bold and has a star; a quartile outside its band has a filled mark.

        Parameters
        ----------
        n, new_random_effects, parameter_uncertainty, seed, robust : as in ``quantile_residuals``.

        Returns
        -------
        array of two matplotlib Axes

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``quantile_residuals``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> left, right = fit.plot_diagnostics(n=50)
        >>> right.get_title()
        '... of 30 quartiles outside their 95 % bands'
        """
        settings = SimulationSettings(n, new_random_effects, parameter_uncertainty, seed, robust)
        return plots.plot_diagnostics(quantile_residuals(self.fitted_model, settings))

    @takes(n_bins=Whole(1, 10**6), n=ENOUGH, seed=SEED, ax=AXES)
    def plot_calibration(self, n_bins: int = 10, n: int = 250, seed: int = 0, ax: Any = None) -> Axes:
        """Observed shares of successes against predicted probabilities, in bins of equally many rows; for outcomes of 0 and 1.

        The probability of a row is its mean over the population of clusters. The grey bars hold the shares of 95 % of simulated data
        sets.

        Parameters
        ----------
        n_bins : number of bins; fewer are drawn where fewer probabilities differ.
        n, seed : number and seed of the simulated data sets.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For other outcomes, and as ``simulate``.
        RowsNotKeptError
            For a streamed fit.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_calibration(n=50)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('Predicted Pr(y = 1), population average', 'Observed share')
        """
        return plots.plot_calibration(self.fitted_model, SimulationSettings(n=n, seed=seed), n_bins, ax)
