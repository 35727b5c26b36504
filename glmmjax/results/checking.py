"""Simulation, residual checks and scoring rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import COUNT, TABLE, Maybe, OneOf, Whole, takes
from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.quantile_residuals import quantile_residuals
from glmmjax.postfit.checking.scoring import SCORES, scoring_rules
from glmmjax.postfit.checking.simulate import SimulationSettings
from glmmjax.results.checking_plots import ENOUGH, SIMULATION, CheckingPlots
from glmmjax.results.quantile_residuals import QuantileResiduals
from glmmjax.tables import checking as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Checking"]

_MAX_COUNT = Whole(1, 10**9, why=", the largest count looked at")


class Checking(CheckingPlots):
    """Checks whether the model fits the data."""

    fitted_model: FittedModel

    @takes(**SIMULATION, n=COUNT, newdata=Maybe(TABLE))
    def simulate(
        self,
        n: int = 1,
        new_random_effects: bool | str = True,
        parameter_uncertainty: bool = False,
        seed: int = 0,
        newdata: Any = None,
        robust: bool | str = False,
    ) -> pd.DataFrame:
        """Outcomes drawn from the fitted model.

        Parameters
        ----------
        n : number of data sets, >= 1. The first of them are the same for every ``n``.
        new_random_effects : True or ``"new"``: the random effects of each cluster are drawn from N(0, D). False or ``"posterior"``: they
            are drawn from their distribution given the data, by importance resampling (Rubin 1988). ``"mode"``: they are the conditional
            modes given the data at the estimates, in spherical coordinates u, b = L u, as in GLMMadaptive. ``"zero"``: they are 0.
        parameter_uncertainty : draw the parameters of each data set from the normal distribution around the estimates, with their
            covariance.
        seed : whole number >= 0; equal seeds give equal outcomes.
        newdata : rows to simulate instead of those fitted. It has the columns of the formulas and the cluster variable; for an outcome
            in two columns it has these two, which hold the trials. For random effects given the data, clusters that the fit knows have the
            outcomes fitted, and others those of ``newdata``.
        robust : covariance that ``parameter_uncertainty`` draws with, as in ``cov_params``.

        Returns
        -------
        DataFrame
            One row a row of the data, one column a simulation, with the caller's labels of the rows used (of all rows of ``newdata``, NaN
            where a needed value is missing). For ``cbind(successes, failures)`` the successes given the trials; for a two-level outcome 0
            and 1, 1 for the second level; for an ordinal outcome its levels, as ordered categories; for a censored outcome the values that
            censoring would have hidden.

        Raises
        ------
        ArgumentError
            For an argument outside what is allowed, a Custom family without ``sample``, a cluster of ``newdata`` without outcomes that
            are needed, and ``parameter_uncertainty`` for a fit without certificate.
        DesignError, FormulaError, OutcomeError
            For rows of ``newdata`` that the model cannot take.
        RowsNotKeptError
            For a streamed fit that needs its rows.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.simulate(n=3).mean().round(3)  # shares of ones; 0.354 in the data
        simulation
        0    0.354
        1    0.345
        2    0.359
        dtype: float64
        """
        settings = SimulationSettings(n, new_random_effects, parameter_uncertainty, seed, robust)
        return tables.simulation_frame(self.fitted_model, settings, newdata)

    @takes(**SIMULATION, n=ENOUGH)
    def quantile_residuals(
        self,
        n: int = 250,
        new_random_effects: bool | str = True,
        parameter_uncertainty: bool = False,
        seed: int = 0,
        robust: bool | str = False,
    ) -> QuantileResiduals:
        """Randomised quantile residuals and their tests: the place of each outcome among ``n`` simulated ones.

        Under the model they are uniform on (0, 1), whatever the family. Their resolution is 1 / (n + 1). A censored outcome is placed at
        random among the simulated ones that it may have been. ``n`` x rows numbers are held in memory.

        Parameters
        ----------
        n : number of simulations, at least 20.
        new_random_effects, parameter_uncertainty, seed, robust : as in ``simulate``. With new random effects (the default) the p-values
            of ``tests`` are right for known parameters, and slightly too large for estimated ones.

        Returns
        -------
        QuantileResiduals
            ``values``, ``tests``, ``plot_qq()``, ``plot_residuals()``.

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``simulate``; for ``n`` below 20.

        Source: Dunn and Smyth (1996), JCGS 5, 236-244.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.quantile_residuals(n=50).tests.round(2)
                    Observed  Simulated  p-value  p if independent
        uniformity      0.04       0.04     0.35              0.18
        dispersion      0.98       1.00     0.78               NaN
        outliers       26.00      31.48     0.43              0.36
        zeros         517.00     516.50     0.94               NaN
        """
        settings = SimulationSettings(n, new_random_effects, parameter_uncertainty, seed, robust)
        return QuantileResiduals(quantile_residuals(self.fitted_model, settings))

    @takes(newdata=Maybe(TABLE), newdata2=Maybe(TABLE), kind=OneOf(SCORES), max_count=_MAX_COUNT)
    def scoring_rules(self, newdata: Any = None, newdata2: Any = None, kind: str = "plug_in", max_count: int = 100_000) -> pd.DataFrame:
        r"""Logarithmic, quadratic (Brier), spherical scores and CRPS of every row; all larger for better forecasts.

        .. math:: \log p_y, \quad 2 p_y - \sum_k p_k^2, \quad p_y \Big/ \sqrt{\textstyle\sum_k p_k^2}, \quad -\sum_k (P_k - 1[y \le k])^2

        A continuous outcome with density f and distribution function F has two of them, the CRPS by quadrature, in the unit of the outcome:

        .. math:: \log f(y), \quad -\int (F(x) - 1[y \le x])^2 dx

        An outcome that may be censored has the first alone: for a censored row the logarithm of the probability of what is known of it. A
        CRPS of such rows would need the limits of all others, and is not proper without.

        Zeros of a hurdle, and the ends 0 and 1 of a proportion, have the logarithm of their probability in the place of log f. The CRPS of
        other programs is often the negative of this one. For hurdle families GLMMadaptive takes the mean of a positive count as its rate;
        here p is the family's own distribution.

        Parameters
        ----------
        newdata : rows to score, with outcomes; the rows fitted when not given. A cluster that the fit knows is conditioned on the rows
            fitted, another cluster on its own rows of ``newdata``.
        newdata2 : later rows to score; ``newdata`` is then the history that random effects are conditioned on.
        kind : ``"plug_in"``, the distribution at the conditional modes of the random effects, as GLMMadaptive has it; ``"integrated"``, its
            average over the random effects given their outcomes.
        max_count : of counts, the largest at which the sums over counts may end. They end by themselves once every distribution is used
            up to 1e-7.

        Returns
        -------
        DataFrame
            Columns ``logarithmic``, ``quadratic``, ``spherical``, ``crps``, by the caller's labels of the rows; NaN where a row has a
            missing value. A continuous outcome has ``logarithmic`` and ``crps``, one that may be censored ``logarithmic``.

        Raises
        ------
        ArgumentError
            For another ``kind`` or ``max_count``, a distribution that reaches beyond ``max_count``,
            and clusters without outcomes to condition on.
        DesignError, FormulaError, OutcomeError
            For rows that the model cannot take.
        RowsNotKeptError
            For a streamed fit that needs its rows.

        Source: Gneiting and Raftery (2007), JASA 102, 359-378; Rindt, Hu, Steinsaltz and Sejdinovic (2022), PMLR 151, 1190-1205, for
        censored outcomes.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.scoring_rules(kind="integrated").mean().round(3)
        logarithmic   -0.335
        quadratic      0.803
        spherical      0.893
        crps          -0.099
        dtype: float64
        """
        return tables.scoring_frame(scoring_rules(self.fitted_model, newdata, newdata2, kind, max_count))
