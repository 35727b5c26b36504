"""``nonparametric_effects``: the law of a random effect left free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import AXES, InstanceOf, takes
from glmmjax.fitted import FittedModel
from glmmjax.plots import prediction as plots
from glmmjax.postfit.refitting.nonparametric_law import NonparametricLaw, nonparametric_law
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import nonparametric as tables
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["NonparametricEffects", "nonparametric_effects"]


class NonparametricEffects:
    """A law of a random effect with a few points, as ``nonparametric_effects`` returns it; ``law`` holds the plain numbers."""

    def __init__(self, fitted_model: FittedModel, law: NonparametricLaw):
        self.fitted_model, self.law = fitted_model, law

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row a point: its value, on the scale of the link, its ``probability``, and whether it is ``at_end`` of the range
        in which it was looked for: the likelihood rises for as long as such a point moves out.
        """
        return tables.support_frame(self.fitted_model, self.law)

    @property
    def fe_params(self) -> pd.Series:
        """The fixed effects that go with the law: Series."""
        return tables.support_series(self.fitted_model, self.law)

    @property
    def llf(self) -> float:
        """The log-likelihood; no law of the random effect has a higher one."""
        return self.law.log_likelihood

    @property
    def gap(self) -> float:
        """What any other law would add to the log-likelihood at these coefficients, at most."""
        return self.law.gap

    @property
    def converged(self) -> bool:
        """Whether neither another law nor other coefficients have anything of note to add."""
        return self.law.is_maximum

    @property
    def page(self) -> Summary:
        """The law and the fixed effects as a ``Summary``: ``page.to_latex()``, ``page.to_markdown()``, ``page.to_html()``."""
        return tables.nonparametric_page(self.fitted_model, self.law)

    @takes(ax=AXES)
    def plot(self, ax: Axes | None = None) -> Axes:
        """The points and their probabilities, with the conditional modes of the fit below.

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
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> gj.nonparametric_effects(fit).plot().get_ylabel()
        'probability'
        """
        return plots.plot_support(self.fitted_model, self.law, ax)

    def __str__(self) -> str:
        return str(self.page)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.page.to_html()


@takes(fit=InstanceOf(MixedModelResults, "a fit, as mixed_model returns it"))
def nonparametric_effects(fit: MixedModelResults) -> NonparametricEffects:
    r"""Estimate the law of the random effect itself, without an assumption on its shape, together with the coefficients.

    .. math:: \max_{\beta, G} \sum_i w_i \log \int \prod_j p(y_{ij} \mid x_{ij}' \beta + z_{ij} b)\, dG(b)

    The best law G has a few points (Laird 1978). It is a check of the normal one: coefficients that hardly move do not depend on it,
    and the rise of the log-likelihood is the most that any law can bring. A law is known to be the best at its coefficients when the
    gradient function :math:`\sum_i w_i (f_i(b) / \int f_i\, dG - 1)` is nowhere above 0; ``gap`` is its largest value, and bounds what
    any other law would add. Coefficients and law are a maximum together where ``converged`` says so; several are possible.

    Parameters
    ----------
    fit : result of ``mixed_model`` with one random effect of one grouping factor, not penalised, of any family without thresholds.

    Returns
    -------
    NonparametricEffects
        ``table``, ``fe_params``, ``llf``, ``gap``, ``converged``, ``plot()``. Where the fixed effects have the column of the random effect,
        such as an intercept, the mean of the law is 0. There are no standard errors.

    Raises
    ------
    ArgumentError
        For another number of random effects, two levels or crossed factors, an ordinal family, a penalised fit, and one without a
        certified maximum.
    RowsNotKeptError
        For a streamed fit.

    References
    ----------
    Laird (1978), Journal of the American Statistical Association 73, 805-811; Lindsay (1983), Annals of Statistics 11, 86-94.

    Examples
    --------
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    >>> found = gj.nonparametric_effects(fit)
    >>> len(found.table), f"{found.llf:.2f}", f"{fit.llf:.2f}"
    (3, '-364.17', '-374.52')
    """
    return NonparametricEffects(fit.fitted_model, nonparametric_law(fit.fitted_model))
