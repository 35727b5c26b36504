"""``ManyFits``: many fits of one model, as ``fit_many`` returns them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import PATH, OneOf, Whole, takes
from glmmjax.estimation.family_limits import away_from_limits
from glmmjax.fitted_many import FittedMany
from glmmjax.likelihood.params import Params
from glmmjax.other_names import missing_attribute
from glmmjax.results.many_plots import ADJUST, ManyPictures
from glmmjax.results.many_tests import ManyTests
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import many as tables
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ManyFits"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ManyFits(ManyPictures, ManyTests):
    """Many fits of one model: tables with a row a fit, and each of them as an ordinary fit.

    A fit without certificate keeps its row and its code; its estimates are where the search ended, and it is in no test.

    Attributes
    ----------
    fitted_many : the plain numbers
    """

    fitted_many: FittedMany

    if not TYPE_CHECKING:  # a type checker knows the names itself

        def __getattr__(self, name: str) -> Any:  # for names that are not found
            raise missing_attribute(self, name)

    @property
    def fe_params(self) -> pd.DataFrame:
        """Fixed effects, a row a fit."""
        return tables.coefficient_frame_of_fits(self.fitted_many, self._reported, "fixed")

    @property
    def bse_fe(self) -> pd.DataFrame:
        """Standard errors of the fixed effects, a row a fit."""
        return tables.coefficient_frame_of_fits(self.fitted_many, self._reported, "fixed", errors=True)

    @property
    def zi_params(self) -> pd.DataFrame:
        """Fixed effects of the zero part, a row a fit; without columns where the model has none."""
        return tables.coefficient_frame_of_fits(self.fitted_many, self._reported, "zero")

    @property
    def phi(self) -> pd.DataFrame:
        """Extra parameters on their natural scale, a row a fit."""
        return tables.coefficient_frame_of_fits(self.fitted_many, self._reported, "phi")

    @property
    def spread(self) -> pd.DataFrame:
        """Standard deviations and correlations of the random effects, a row a fit."""
        return tables.coefficient_frame_of_fits(self.fitted_many, self._reported, "random")

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance matrices D of the random effects, a row a fit and a column a pair of effects."""
        return tables.random_covariance_frame_of_fits(self.fitted_many)

    @property
    def llf(self) -> pd.Series:
        """Log-likelihoods, without the penalty."""
        return tables.series_of_fits(self.fitted_many, self.fitted_many.log_likelihood, "log_likelihood")

    @property
    def converged(self) -> pd.Series:
        """Which fits carry a certificate."""
        return tables.series_of_fits(self.fitted_many, self.fitted_many.converged, "converged")

    @property
    def code(self) -> pd.Series:
        """How each fit ended, by the name of its code."""
        return tables.code_series(self.fitted_many)

    @property
    def message(self) -> pd.Series:
        """How each fit ended: what was seen and what to try."""
        return tables.message_series(self.fitted_many)

    @property
    def quadrature_error(self) -> pd.Series:
        """Log-likelihood by a finer rule minus the reported one."""
        return tables.series_of_fits(self.fitted_many, self.fitted_many.quadrature_error, "quadrature_error")

    @property
    def nobs(self) -> pd.Series:
        """Rows with an outcome."""
        return tables.series_of_fits(self.fitted_many, self.fitted_many.nobs, "nobs")

    @takes(effects=OneOf("fixed", "ran_pars", "extra", "all"), adjust=ADJUST)
    def tidy(self, effects: str = "fixed", adjust: str = "fdr_bh") -> pd.DataFrame:
        """One row a fit and term, with the column names of R's broom.mixed.

        Parameters
        ----------
        effects : ``"fixed"`` for the coefficients of all linear predictors, ``"ran_pars"`` for standard deviations and correlations of the
            random effects, ``"extra"`` for the extra parameters of the family, ``"all"`` for these three.
        adjust : how p-values are adjusted over the fits, term by term: ``"fdr_bh"`` (Benjamini and Hochberg), ``"fdr_by"`` (Benjamini and
            Yekutieli), ``"holm"``, ``"bonferroni"``, ``"none"``.

        Returns
        -------
        DataFrame
            Columns ``fit``, ``effect``, ``component``, ``term``, ``estimate``, ``std.error``, ``statistic``, ``p.value``, ``p.adjusted``,
            ``converged``, ``code``. A fit without certificate has no test: NaN, and it is not counted in the adjustment.

        Raises
        ------
        ArgumentError
            For another argument.

        Source: Benjamini and Hochberg (1995), JRSS B 57, 289-300; Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.tidy(adjust="holm")[["fit", "term", "p.value", "p.adjusted"]].shape
        (80, 4)
        """
        return tables.tidy_frame_of_fits(self.fitted_many, self._reported, effects, adjust)

    def table(self) -> pd.DataFrame:
        """Everything on one row a fit: estimates, standard errors, log-likelihood, code, message.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.table().columns.to_list()[:5]
        ['Intercept', 'trt[T.progabide]', 'sd(Intercept)', 'se(Intercept)', 'se(trt[T.progabide])']
        """
        return tables.table_of_fits(self.fitted_many, self._reported)

    @takes(path=PATH)
    def to_parquet(self, path: Any) -> None:
        """Write ``table()`` to a Parquet file.

        Parameters
        ----------
        path : of the file.

        Raises
        ------
        StorageError
            Where the file cannot be written, or pyarrow is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.to_parquet("many.parquet")
        """
        tables.write_parquet(self.fitted_many, self._reported, path)

    def summary(self) -> Summary:
        """How many fits ended how, why some have no certificate, and how the estimates are spread.

        Returns
        -------
        Summary
            Prints as text, shows as HTML; ``tables`` has the numbers.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> many.summary().tables["ends"]
                   fits  share  certified
        CONVERGED    40    1.0       True
        """
        return tables.many_summary(self.fitted_many, self._reported)

    @takes(number=Whole(0))
    def nth(self, number: int) -> MixedModelResults:
        """The fit with a number, as ``mixed_model`` returns it; ``many[name]`` takes its name.

        It is made when it is asked for, from the estimates that are known.

        Parameters
        ----------
        number : 0 for the first.

        Returns
        -------
        MixedModelResults

        Raises
        ------
        ArgumentError
            For a number beyond the last.
        OutcomeError
            For a fit that was refused.
        RowsNotKeptError
            For outcomes that came from an iterator.

        Examples
        --------
        >>> import numpy as np
        >>> data, draws = gj.datasets.load_epil(), np.random.default_rng(1)
        >>> counts = draws.poisson(np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0))
        >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
        >>> fit = many.nth(0)
        >>> f"{fit.llf - many.llf[0]:.6f}"
        '0.000000'
        """
        many = self.fitted_many
        k = tables.checked_number(many, number)
        return many.open_fit(k, self._start(k) if many.converged[k] else None)

    def __getitem__(self, name: Any) -> MixedModelResults:
        return self.nth(tables.number_of_fit(self.fitted_many, name))

    def __len__(self) -> int:
        return len(self.fitted_many.code)

    def __repr__(self) -> str:
        return f"<ManyFits: {tables.one_line_of_many(self.fitted_many)}>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def _start(self, k: int) -> Params:
        """The estimates of a fit, from which its search finds them again."""
        many, one = self.fitted_many, self.fitted_many.one(k)
        theta, layout = away_from_limits(many.problem, one.theta, one.convergence.limits), many.problem.layout
        parts: Any = (theta[layout.fixed], one.params.chol, theta[layout.extra], theta[layout.zero], theta[layout.dispersion])
        return Params(*parts)
