"""R2 and the intraclass correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import Maybe, Number, OneOf, takes
from glmmjax.families.observation_variance import APPROXIMATIONS
from glmmjax.fitted import FittedModel
from glmmjax.postfit.population.variance_shares import upper_variance, variances
from glmmjax.tables import population as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VarianceShares"]

_MEAN = Maybe(Number(0.0, 1e300, "a positive number"), "the mean of the outcome")


class VarianceShares:
    """Methods on the shares of fixed and random effects in the variance."""

    fitted_model: FittedModel

    @takes(approximation=OneOf(*APPROXIMATIONS), mean=_MEAN)
    def r2(self, approximation: str = "lognormal", mean: float | None = None) -> pd.Series:
        r"""R2 of Nakagawa, Johnson and Schielzeth: the share of the variance, on the scale of the link, that the model explains.

        .. math:: R^2_m = \sigma_f^2 / \sigma^2, \quad R^2_c = (\sigma_f^2 + \sigma_\alpha^2) / \sigma^2, \quad
                  \sigma^2 = \sigma_f^2 + \sigma_\alpha^2 + \sigma_\varepsilon^2

        :math:`\sigma_f^2` is the variance of the fixed part :math:`x_{ij}'\beta` over the rows, :math:`\sigma_\alpha^2` the mean of
        :math:`z_{ij}' D z_{ij}`, :math:`\sigma_\varepsilon^2` the variance of a row: that of the latent variable for a continuous, 0/1 or
        ordered outcome (:math:`\pi^2 / 3` for the logit), an approximation for counts and a gamma outcome with the log link.

        Parameters
        ----------
        approximation : with :math:`r = \mathrm{var}(y) / \lambda^2` at the mean :math:`\lambda`, the variance of log y is
            ``"lognormal"``: :math:`\log(1 + r)`, ``"delta"``: :math:`r`, ``"trigamma"``: :math:`\psi_1(1 / r)`. For a 0/1 outcome
            ``"delta"`` is :math:`p (1 - p) g'(p)^2` in the place of the latent variance.
        mean : :math:`\lambda` or p; None is the mean of the outcome in the rows used. R's package performance takes the one that a fit
            without covariates implies, ``exp(b0 + var / 2)``.

        Returns
        -------
        Series
            ``marginal`` (fixed effects) and ``conditional`` (fixed and random effects). ``attrs["variances"]`` holds the three parts by
            name.

        Raises
        ------
        ArgumentError
            For a family and link that have no such variance, and for a fit with ``dispersion``; the text has the reason.
        RowsNotKeptError
            For a streamed fit.

        Source: Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213; Johnson (2014), Methods in
        Ecology and Evolution 5, 944-946.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.r2().round(3).to_dict()
        {'marginal': 0.234, 'conditional': 0.667}
        """
        return tables.r2_series(variances(self.fitted_model, approximation, mean))

    @takes(approximation=OneOf(*APPROXIMATIONS), mean=_MEAN)
    def icc(self, approximation: str = "lognormal", mean: float | None = None) -> pd.Series:
        r"""Intraclass correlation: the share of the random effects in the variance, on the scale of the link.

        .. math:: \mathrm{ICC}_{adj} = \frac{\sigma_\alpha^2}{\sigma_\alpha^2 + \sigma_\varepsilon^2}, \quad
                  \mathrm{ICC} = \frac{\sigma_\alpha^2}{\sigma_f^2 + \sigma_\alpha^2 + \sigma_\varepsilon^2}

        With a random intercept the adjusted one is the correlation of two rows of a cluster at given covariates, of the latent variable
        where the outcome is 0/1.

        Parameters
        ----------
        approximation, mean : as in ``r2``.

        Returns
        -------
        Series
            ``adjusted`` and ``unadjusted``. Of two levels, also the correlation of two rows of an upper cluster in different lower ones, by
            the name of the upper level. ``attrs["variances"]`` holds the three parts by name.

        Raises
        ------
        ArgumentError
            As ``r2``, and for a model without random effects.
        RowsNotKeptError
            For a streamed fit.

        Source: as for ``r2``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.icc().round(3).to_dict()
        {'adjusted': 0.565, 'unadjusted': 0.432}
        """
        return tables.icc_series(variances(self.fitted_model, approximation, mean, needs_random=True), upper_variance(self.fitted_model))
