"""Covariances, confidence intervals and tests of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax import tables
from glmmjax.design.matrices import caller_namespace
from glmmjax.fitted import FittedModel
from glmmjax.postfit.score_test import ScoreTest, score_test
from glmmjax.postfit.wald import WaldTest, wald_test

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Inference", "TestResults"]


class TestResults:
    """A joint test, as ``wald_test`` and ``score_test`` return it; ``test`` holds the plain numbers."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    def __init__(self, test: WaldTest | ScoreTest):
        self.test = test

    @property
    def statistic(self) -> float:
        """Chi-square statistic of all hypotheses together."""
        return self.test.statistic

    @property
    def df(self) -> int:
        """Its degrees of freedom: the number of hypotheses."""
        return self.test.df

    @property
    def p_value(self) -> float:
        """Its p-value."""
        return self.test.p_value

    @property
    def table(self) -> pd.DataFrame:
        """The hypotheses one by one, with two-sided p-values from the normal distribution."""
        return tables.test_frame(self.test)

    def __str__(self) -> str:
        return tables.test_text(self.test)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.test_html(self.test)


class Inference:
    """How sure the estimates are."""

    fitted_model: FittedModel

    def cov_params(self, robust: bool | str = False, which: str = "fixed") -> pd.DataFrame:
        """Covariance matrix of the estimates.

        Parameters
        ----------
        robust : False for the inverse of the exact negative Hessian. ``"CR0"`` (also True) for the sandwich estimator with clusters as
            units, which stays valid when the model is wrong within clusters; ``"CR1"``, ``"CR2"``, ``"CR3"`` correct it for few clusters.
        which : ``"fixed"`` for the fixed effects (p, p), ``"all"`` for all parameters (P, P) on the scales on which they are free:
            ``L[row,column]`` the entries of the factor L of D = L L' (``D[...]`` for other structures), ``phi[name]`` the extra parameters
            (the logarithm of a positive one), ``zi_`` the zero part and ``dispersion_`` the dispersion.

        Returns
        -------
        DataFrame; NaN for what has no standard error (a fit without certificate). At a singular D it is the covariance inside the
        set of matrices of that rank.

        Raises
        ------
        ArgumentError
            For another ``robust`` or ``which``.
        RowsNotKeptError
            For a robust covariance of a streamed fit.

        Source: White (1982), Econometrica 50, 1-25; Liang and Zeger (1986), Biometrika 73, 13-22; Kauermann and Carroll (2001), JASA 96,
        1387-1396; Bell and McCaffrey (2002), Survey Methodology 28, 169-181.
        """
        return tables.covariance_frame(self.fitted_model, robust, which)

    def conf_int(
        self,
        which: str = "fixed",
        method: str = "wald",
        level: float = 0.95,
        robust: bool | str = False,
        *,
        n: int = 1000,
        kind: str = "parametric",
        seed: int = 0,
    ) -> pd.DataFrame:
        r"""Confidence intervals.

        Parameters
        ----------
        which : ``"fixed"``, ``"random"`` (standard deviations and correlations of the random effects), ``"phi"`` (extra parameters on
            their natural scale), ``"zi"``, ``"dispersion"``, or ``"all"``, where the last two have prefixes ``zi_`` and ``dispersion_``.
        method : ``"wald"``: estimate plus and minus standard errors on a scale without bounds (log sd, Fisher's z of a correlation, the
            free scale of an extra parameter; a threshold's own), the ends transformed back.
            ``"profile"``: the values at which the log-likelihood (plus penalty), maximised over all other parameters, lies
            :math:`\chi^2_1(level)/2` below its maximum; where it does not drop that far, the limit is the edge of the parameter
            space, such as 0 for a standard deviation. ``"bootstrap"``: percentiles of refits.
        level : coverage, between 0 and 1.
        robust : as in ``cov_params``; for ``method="wald"``.
        n, kind, seed : number of refits, ``"parametric"`` or ``"cluster"``, and seed of ``method="bootstrap"``.

        Returns
        -------
        DataFrame with columns ``estimate``, ``lower``, ``upper``; ``attrs`` holds ``level``, ``method``, and for a bootstrap ``n_used`` and
        ``n_not_converged``. NaN, with a warning that names the parameters, for limits that do not exist or were not found.

        Raises
        ------
        ArgumentError
            For an argument that is not allowed, parameters that the model does not have, and when no Wald interval of what was asked
            exists (standard deviations and correlations at a singular D).
        RowsNotKeptError
            For anything but plain Wald intervals of a streamed fit.

        Warns
        -----
        ConvergenceWarning

        Source: Venzon and Moolgavkar (1988), Applied Statistics 37, 87-94; Davison and Hinkley (1997), Bootstrap Methods.
        """
        return tables.interval_frame(self.fitted_model, which, method, level, robust, n, kind, seed)

    def wald_test(self, hypotheses: Any, robust: bool | str = False) -> TestResults:
        r"""Wald test of linear hypotheses ``L theta = c`` together.

        .. math:: W = (L\hat\theta - c)' (L V L')^{-1} (L\hat\theta - c) \sim \chi^2_k

        Parameters
        ----------
        hypotheses : text such as ``"sex[T.female] = 0, sex[T.female]:time = 0"``, a list of such texts, a dict of values by name, or a
            matrix (k, p) with one column for each fixed effect, or for each parameter of ``cov_params(which="all")``, which tests
            ``L theta = 0``. Names are those of ``cov_params(which="all")``.
        robust : as in ``cov_params``.

        Raises
        ------
        ArgumentError
            For unknown names, text that cannot be read, a matrix of another width, hypotheses that follow from one another, and
            parameters without standard errors.
        """
        return TestResults(wald_test(self.fitted_model, hypotheses, robust))

    def score_test(self, terms: Any, part: str = "fixed") -> TestResults:
        """Rao's score test for fixed effects that the model does not have, without a refit.

        Parameters
        ----------
        terms : right side such as ``"I(time**2) + sex:time"``, evaluated on the rows used of the data of the fit, with factors coded as
            in a refit; or columns (n, k) of numbers, one row for each row used.
        part : predictor that the terms would be added to, ``"fixed"``, ``"zi"`` or ``"dispersion"``.

        Returns
        -------
        ``TestResults``; ``table`` has for each column the coefficient after one Newton step, the score, its variance, and its own test.

        Raises
        ------
        ArgumentError, FormulaError, DesignError
            For a penalised fit, terms that cannot be evaluated, are missing in rows used, or add nothing to the model.
        RowsNotKeptError
            For a streamed fit.

        Source: Rao (1948), Proceedings of the Cambridge Philosophical Society 44, 50-57.
        """
        return TestResults(score_test(self.fitted_model, terms, part, caller_namespace()))

    def vif(self) -> pd.DataFrame:
        r"""Generalised variance inflation factors of the terms of the fixed effects.

        .. math:: GVIF = \det(R_{11}) \det(R_{22}) / \det(R),

        R the correlation matrix of the estimates without the intercept, R11 its block of the term, R22 that of the other terms.

        Returns
        -------
        DataFrame, one row a term: ``GVIF``, ``df`` (columns of the term), and ``GVIF^(1/(2 df))``, which can be compared between terms.

        Raises
        ------
        ArgumentError
            When the model has no term but the intercept, or the fit no standard errors.

        Source: Fox and Monette (1992), JASA 87, 178-183.
        """
        return tables.vif_frame(self.fitted_model)
