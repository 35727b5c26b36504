"""``permutation_test``: a covariate tested by exchanges of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, COUNT, SEED, InstanceOf, Maybe, OneOf, Text, takes
from glmmjax.plots import resampling as plots
from glmmjax.postfit.inference.permutation_test import STATISTICS, PermutationSettings, PermutationTest
from glmmjax.postfit.inference.permutation_test import permutation_test as permuted
from glmmjax.postfit.refitting.exchange import EXCHANGES
from glmmjax.progress import PROGRESS, Watch
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import resampling as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PermutationTestResults", "permutation_test"]


class PermutationTestResults:
    """A permutation test, as ``permutation_test`` returns it; ``test`` holds the plain numbers."""

    def __init__(self, test: PermutationTest):
        self.test = test

    @property
    def statistic(self) -> float:
        """The statistic of the data: a likelihood ratio or a Wald statistic."""
        return self.test.statistic

    @property
    def df(self) -> int:
        """Number of coefficients that are tested together."""
        return self.test.df

    @property
    def p_value(self) -> float:
        """(1 + the number of permutations with a statistic as large) / (1 + their number)."""
        return self.test.p_value

    @property
    def draws(self) -> pd.Series:
        """The statistics of all permutations: Series; NaN where the model has no certified maximum."""
        return tables.permutation_draws(self.test)

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame of one row: the statistic, ``df``, ``p-value``, its Monte Carlo standard error ``MC error``, and ``chi2 p-value``."""
        return tables.permutation_frame(self.test)

    @takes(ax=AXES, bins=COUNT)
    def plot(self, bins: int = 40, ax: Axes | None = None) -> Axes:
        """A histogram of the statistics of the permutations, with a line at that of the data.

        Parameters
        ----------
        bins : number of bars.
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
        >>> gj.permutation_test(fit, "sex", 99).plot().get_xlabel()
        'Likelihood ratio of sex, 99 permutations'
        """
        return plots.plot_permutations(self.test, ax, bins)

    def __str__(self) -> str:
        return tables.permutation_text(self.test)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.permutation_html(self.test)


@takes(
    fit=InstanceOf(MixedModelResults, "a fit, as mixed_model returns it"),
    term=Text("the name of a covariate, such as 'sex'"),
    n_permutations=COUNT,
    statistic=OneOf(STATISTICS),
    exchange=OneOf(EXCHANGES),
    strata=Maybe(Text("the name of a column of the data")),
    seed=SEED,
    progress=PROGRESS,
)
def permutation_test(
    fit: MixedModelResults,
    term: str,
    n_permutations: int = 999,
    *,
    statistic: str = "likelihood_ratio",
    exchange: str = "auto",
    strata: str | None = None,
    seed: int = 0,
    progress: Any = False,
) -> PermutationTestResults:
    r"""Test a covariate of the fixed effects: its values are exchanged at random, and the model is refitted each time.

    .. math:: p = \frac{1 + \#\{r : T^*_r \ge T\}}{n + 1}

    The p-value holds in samples of any size where the values of the covariate are exchangeable given the other covariates, as those of a
    treatment that was randomised are. The model need not be right for that.

    Parameters
    ----------
    fit : result of ``mixed_model``.
    term : a covariate of the fixed effects, or a term or a coefficient that is made of one. All columns with the covariate move together,
        those of its interactions too, and are tested together: under the null hypothesis it has no effect at all.
    n_permutations : number of exchanges, at least 1. The smallest p-value is 1 / (n_permutations + 1).
    statistic : ``"likelihood_ratio"``, against the model without the covariate, or ``"wald"``.
    exchange : ``"between"``: whole clusters exchange their values. A covariate that varies within clusters moves as a whole series, in the
        order of the rows, between clusters of one size. ``"within"``: the rows of each cluster exchange their values, and differences
        between clusters stay. ``"auto"`` takes ``"between"`` for a covariate that is constant in each cluster, else ``"within"``. Without
        random effects every row is a cluster. Clusters exchange values only with clusters of their weight.
    strata : column of the data; only units with the same value of it exchange, as in a trial randomised within centres.
    seed : whole number >= 0; the same seed gives the same exchanges, and the first of them are the same for every ``n_permutations``.
    progress : True shows how many refits are done, by a bar of tqdm where that is installed; a function is called with a record of
        each.

    Returns
    -------
    PermutationTestResults
        ``p_value``, ``statistic``, ``draws``, ``table``, ``plot()``. Permutations in which the model has no certified maximum are NaN in
        ``draws``, are not counted in the p-value, and are counted below the table.

    Raises
    ------
    ArgumentError
        For another argument; a fit that is no certified maximum; a penalised fit with the likelihood ratio; an interaction by itself; a
        covariate that is in the random effects, the zero part, the dispersion or the offset too; and values that cannot be exchanged.
    RowsNotKeptError
        For a streamed fit.

    Source: Phipson and Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9, article 39; Winkler and others (2015),
    NeuroImage 123, 253-268, for exchanges between and within clusters.

    Examples
    --------
    >>> fit = gj.mixed_model("y ~ sex + time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    >>> gj.permutation_test(fit, "sex", 199)
    Permutation test of sex:
            LRT df p-value MC error chi2 p-value
    ...
    Whole clusters exchange their values of 'sex'.
    The p-value is (1 + the number of statistics as large) / (1 + their number) in 199 permutations.
    """
    settings = PermutationSettings(n_permutations, statistic, exchange, strata, seed)
    with Watch(progress):
        return PermutationTestResults(permuted(fit.fitted_model, term, settings))
