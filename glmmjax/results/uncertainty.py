"""Covariances and confidence intervals of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.confidence import confidence_intervals
from glmmjax.tables import uncertainty as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Uncertainty"]


class Uncertainty:
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
            their natural scale), ``"zero"`` (the zero part), ``"dispersion"``, or ``"all"``. Among all of them, labels of the zero part
            begin with ``zi_`` and those of the dispersion with ``dispersion_``.
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
        return tables.interval_frame(confidence_intervals(self.fitted_model, which, method, level, robust, n=n, kind=kind, seed=seed))
