"""Tests in many fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import FLAG, Judged, takes
from glmmjax.errors import ArgumentError
from glmmjax.fitted_many import FittedMany
from glmmjax.postfit.many.comparisons import comparisons
from glmmjax.postfit.many.wald_tests import wald_tests
from glmmjax.results.many_numbers import ManyNumbers
from glmmjax.results.many_plots import ADJUST
from glmmjax.tables import many as tables
from glmmjax.values import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ManyTests"]


class ManyTests(ManyNumbers):
    """Methods that make one test in every fit."""

    @takes(hypotheses=Judged("text such as 'x = 0', or a matrix of coefficients"), adjust=ADJUST)
    def wald_test(self, hypotheses: Any, adjust: str = "fdr_bh") -> pd.DataFrame:
        """Test linear hypotheses in every fit.

        Parameters
        ----------
        hypotheses : as in ``MixedModelResults.wald_test``: ``"trt = 0"``, ``"a = b, c = 1"``, a dict, or a matrix.
        adjust : how p-values are adjusted over the fits, as in ``tidy``.

        Returns
        -------
        DataFrame
            A row a fit: the left side of each hypothesis, ``statistic`` (chi-square), ``df``, ``p_value``, ``p_adjusted``; NaN for a fit
            without certificate, or without standard errors for these parameters.

        Raises
        ------
        ArgumentError
            For hypotheses that cannot be read.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.wald_test("trt[T.progabide] = 0").columns.to_list()
        ['trt[T.progabide] = 0', 'statistic', 'df', 'p_value', 'p_adjusted']
        """
        return tables.test_frame_of_fits(self.fitted_many, wald_tests(self.fitted_many, self._covariances, hypotheses), adjust)

    @takes(other=Judged("fits of another model to the same outcomes"), boundary=FLAG, adjust=ADJUST)
    def anova(self, other: Any, boundary: bool = False, adjust: str = "fdr_bh") -> pd.DataFrame:
        """Compare with another, nested model of the same outcomes by a likelihood-ratio test in every fit.

        Parameters
        ----------
        other : what ``fit_many`` gave for the other model; either of the two may be the larger one.
        boundary : as in ``gj.anova``: the smaller model sets variances to 0.
        adjust : how p-values are adjusted over the fits, as in ``tidy``.

        Returns
        -------
        DataFrame
            A row a fit: ``statistic``, ``df``, ``p_value``, ``p_adjusted``; NaN where one of the two fits has no certificate, or the
            larger model the lower log-likelihood.

        Raises
        ------
        ArgumentError
            For something else than fits of the same outcomes, and for models that ``gj.anova`` does not compare.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> smaller = gj.fit_many("~ 1", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.anova(smaller).columns.to_list()
        ['statistic', 'df', 'p_value', 'p_adjusted']
        """
        fits = getattr(other, "fitted_many", None)
        if not isinstance(fits, FittedMany):
            raise ArgumentError(f"other={shown(other)} must be what fit_many gave for another model of the same outcomes.")
        return tables.comparison_frame_of_fits(self.fitted_many, comparisons(self.fitted_many, fits, boundary), adjust)
