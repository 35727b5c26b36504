"""Tests of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import Judged, Text, takes
from glmmjax.design.formula.matrices import caller_namespace
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.score_test import ScoreTest, score_test
from glmmjax.postfit.inference.wald import WaldTest, wald_test
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.tables import inference as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Inference", "TestResults"]


class TestResults:
    """A joint test, as ``wald_test`` and ``score_test`` return it; ``test`` holds the plain numbers."""

    __test__ = False  # pytest would take it for a class of tests, by its name

    def __init__(self, test: WaldTest | ScoreTest):
        self.test = test

    @property
    def statistic(self) -> float:
        """Chi-square statistic of all hypotheses together."""
        return self.test.statistic

    @property
    def df(self) -> int:
        """Degrees of freedom: the number of hypotheses."""
        return self.test.df

    @property
    def p_value(self) -> float:
        """p-value of all hypotheses together, from the chi-square distribution."""
        return self.test.p_value

    @property
    def table(self) -> pd.DataFrame:
        """The hypotheses (or added columns) one by one: DataFrame with one row each and two-sided p-values from the normal distribution."""
        return tables.test_frame(self.test)

    def __str__(self) -> str:
        return tables.test_text(self.test)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.test_html(self.test)


class Inference:
    """Tests of hypotheses about the parameters."""

    fitted_model: FittedModel

    @takes(hypotheses=Judged("text such as 'time = 0', a list of texts, a dict of values by name, or a matrix"), robust=ROBUST)
    def wald_test(self, hypotheses: Any, robust: bool | str = False) -> TestResults:
        r"""Wald test of linear hypotheses ``L theta = c`` together.

        .. math:: W = (L\hat\theta - c)' (L V L')^{-1} (L\hat\theta - c) \sim \chi^2_k

        Parameters
        ----------
        hypotheses : text such as ``"sex[T.female] = 0, sex[T.female]:time = 0"``, a list of such texts, a dict of values by name, or a
            matrix (k, p) with one column for each fixed effect, or for each parameter of ``cov_params(which="all")``, which tests
            ``L theta = 0``. Names are those of ``cov_params(which="all")``.
        robust : covariance V of the estimates, as in ``cov_params``.

        Returns
        -------
        TestResults
            ``statistic``, ``df``, ``p_value`` of all hypotheses together; ``table`` has one row a hypothesis, with columns ``estimate``
            (the left side), ``value`` (the right side), ``std_error``, ``z`` and ``p_value``.

        Raises
        ------
        ArgumentError
            For unknown names, text that cannot be read, a matrix of another width, hypotheses that follow from one another, and
            parameters without standard errors.
        RowsNotKeptError
            For a robust test of a streamed fit.

        Source: Wald (1943), Transactions of the American Mathematical Society 54, 426-482.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.wald_test("sex[T.female] = 0, sex[T.female]:time = 0")
        Wald test of linear hypotheses
        chi2(2) = 5.0044, p-value 0.0819
        ...
        """
        return TestResults(wald_test(self.fitted_model, hypotheses, robust))

    @takes(
        terms=Judged("the right side of a formula, such as 'I(time**2)', or columns of numbers"),
        part=Text("'fixed', 'zero' or 'dispersion'"),
        robust=ROBUST,
    )
    def score_test(self, terms: Any, part: str = "fixed", robust: bool | str = False) -> TestResults:
        """Rao's score test for fixed effects that the model does not have, without a refit.

        Parameters
        ----------
        terms : right side of a formula, such as ``"I(time**2) + sex:time"``, evaluated on the rows used of the data of the fit, with
            factors coded as in a refit; or columns (n, k) of numbers, one row for each row used.
        part : predictor that the terms would be added to, ``"fixed"``, ``"zero"`` or ``"dispersion"``.
        robust : False for the variance of the score by the information; True or ``"CR0"`` for that by the clusters' own scores, which
            holds when the model is wrong within clusters; ``"CR1"`` for the same times m / (m - 1).

        Returns
        -------
        TestResults
            ``statistic``, ``df``, ``p_value`` of all columns together; ``table`` has one row a column: its coefficient after one Newton
            step, its score, the variance of the score, and its own test.

        Raises
        ------
        ArgumentError, FormulaError, DesignError
            For a penalised fit, another ``robust``, terms that cannot be evaluated, are missing in rows used, or add nothing to the model.
        RowsNotKeptError
            For a streamed fit.

        Source: Rao (1948), Proceedings of the Cambridge Philosophical Society 44, 50-57; Boos (1992), The American Statistician 46,
        327-333, for the robust test.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.update(fixed="y ~ sex + time").score_test("sex:time")
        Score test of added terms
        chi2(1) = 0.5433, p-value 0.4611
        ...
        """
        return TestResults(score_test(self.fitted_model, terms, part, caller_namespace(), robust))

    def vif(self) -> pd.DataFrame:
        r"""Generalised variance inflation factors of the terms of the fixed effects.

        .. math:: GVIF = \det(R_{11}) \det(R_{22}) / \det(R)

        R is the correlation matrix of the estimates without the intercept, R11 its block of the term, R22 its block of the other terms.

        Returns
        -------
        DataFrame
            One row a term, with columns ``GVIF``, ``df`` (columns of the term), and ``GVIF^(1/(2 df))``, which can be compared between
            terms.

        Raises
        ------
        ArgumentError
            When the model has no term but the intercept, or the fit has no standard errors.

        Source: Fox and Monette (1992), JASA 87, 178-183.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.vif().round(2)
                  GVIF  df  GVIF^(1/(2 df))
        sex       1.87   1             1.37
        time      1.77   1             1.33
        sex:time  2.81   1             1.67
        """
        return tables.vif_frame(self.fitted_model)
