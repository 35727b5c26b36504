"""``power``: how often a test finds an effect, by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, COUNT, SEED, InstanceOf, Judged, Number, OneOf, takes
from glmmjax.plots import resampling as plots
from glmmjax.postfit.inference import power as simulated
from glmmjax.progress import PROGRESS, Watch
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import resampling as tables
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PowerResults", "power"]


class PowerResults:
    """Power by simulation, as ``power`` returns it; ``record`` holds the plain numbers, p-values of every data set too."""

    def __init__(self, record: simulated.Power):
        self.record = record

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row an effect and size: ``clusters``, the coefficients, ``power``, ``lower``, ``upper``, ``certified``.

        ``lower`` and ``upper`` are Wilson's 95 % band of the Monte Carlo error; ``certified`` is the share of data sets with a test.
        """
        return tables.power_frame(self.record)

    @property
    def page(self) -> Summary:
        """The table with its notes as a ``Summary``: ``page.to_latex()``, ``page.to_markdown()``, ``page.to_html()``."""
        return tables.power_page(self.record)

    @takes(ax=AXES)
    def plot(self, ax: Axes | None = None) -> Axes:
        """Power with Monte Carlo bands against the number of clusters, a curve an effect; against the effect where there is one number.

        Parameters
        ----------
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
        >>> fit = gj.mixed_model("y ~ sex + time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> gj.power(fit, {"sex[T.female]": -1.0}, sizes=[50, 100], n_sim=20).plot().get_xlabel()
        'Number of clusters'
        """
        return plots.plot_power(self.record, ax)

    def __str__(self) -> str:
        return str(self.page)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.page.to_html()


@takes(
    fit=InstanceOf(MixedModelResults, "a fit, as mixed_model returns it"),
    effects=Judged("a dict from the name of a coefficient to its value, or to a list of values"),
    sizes=Judged("None, a number of clusters, or a list of them"),
    n_sim=COUNT,
    alpha=Number(0.0, 1.0, "a number between 0 and 1, such as 0.05"),
    test=OneOf(simulated.TESTS),
    seed=SEED,
    progress=PROGRESS,
)
def power(
    fit: MixedModelResults,
    effects: Any,
    sizes: Any = None,
    n_sim: int = 500,
    *,
    alpha: float = 0.05,
    test: str = "wald",
    seed: int = 0,
    progress: Any = False,
) -> PowerResults:
    r"""How often a test at level alpha finds an effect, for several effects and numbers of clusters, by simulation.

    .. math:: \hat p = \frac{\#\{r : p_r \le \alpha\}}{n}

    In each data set whole clusters are drawn with replacement from those of the fit, with their covariates; random effects and outcomes are
    drawn from the fitted model with the named coefficients replaced; the model is refitted, and these coefficients are tested together.

    Parameters
    ----------
    fit : result of ``mixed_model``, of a pilot study for instance. All parameters but ``effects`` stay as they are estimated.
    effects : dict from names of fixed effects to values, on the scale of the linear predictor. Lists of several coefficients have one
        length, and the values at one place belong together. An effect of 0 gives the size of the test.
    sizes : number of clusters (of rows without random effects), or a list of them; that of the fit when None.
    n_sim : number of data sets for each effect and size. The band of a power of one half is about ``1 / sqrt(n_sim)`` to each side.
    alpha : level of the test, between 0 and 1.
    test : ``"wald"``, or ``"likelihood_ratio"``, which fits the model without the coefficients too.
    seed : whole number >= 0; the same seed gives the same data sets. All effects and sizes share their random numbers, so that curves are
        smooth: a data set of fewer clusters is the first part of a larger one.
    progress : True shows how many refits are done, by a bar of tqdm where that is installed; a function is called with a record of
        each. Each effect and size has its own count.

    Returns
    -------
    PowerResults
        ``table``, ``plot()``, ``page``. Data sets where a model has no certified maximum have no test: they are not counted in the power,
        ``certified`` is the share of the others, and a note counts them. A small sample may have no cluster of a group, for instance.

    Raises
    ------
    ArgumentError
        For another argument; a fit that is no certified maximum; a penalised fit with the likelihood ratio; and a family that cannot be
        simulated from.
    RowsNotKeptError
        For a streamed fit.

    Source: Green and MacLeod (2016), Methods in Ecology and Evolution 7, 493-498; Wilson (1927), JASA 22, 209-212, for the band.

    Examples
    --------
    >>> fit = gj.mixed_model("y ~ sex + time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    >>> gj.power(fit, {"sex[T.female]": [-0.5, -1.0]}, sizes=[50, 200], n_sim=50)
    Power of the Wald test of sex[T.female] = 0:
      clusters sex[T.female]  power  lower  upper certified
    ...
    50 data sets a row, level 0.05, seed 0; lower and upper are 95 % Monte Carlo bands.
    """
    settings = simulated.PowerSettings(n_sim, alpha, test, seed)
    with Watch(progress):
        return PowerResults(simulated.power(fit.fitted_model, effects, sizes, settings))
