"""Covariances and confidence intervals of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, COUNT, FLAG, LEVEL, SEED, OneOf, takes
from glmmjax.fitted import FittedModel
from glmmjax.plots import estimates as plots
from glmmjax.plots.estimates import COEFFICIENTS
from glmmjax.postfit.inference.confidence import METHODS, confidence_intervals
from glmmjax.postfit.refitting.bootstrap import BOOTSTRAPS
from glmmjax.postfit.uncertainty.parameters import WHICH
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.tables import uncertainty as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Uncertainty"]


class Uncertainty:
    """Methods on the uncertainty of the estimates."""

    fitted_model: FittedModel

    @takes(robust=ROBUST, which=OneOf({"fixed": "the fixed effects", "all": "all parameters, on their free scales"}))
    def cov_params(self, robust: bool | str = False, which: str = "fixed") -> pd.DataFrame:
        """Covariance matrix of the estimates.

        Parameters
        ----------
        robust : False for the inverse of the exact negative Hessian. ``"CR0"`` (also True) for the sandwich estimator with clusters as
            units, which stays valid when the model is wrong within clusters. ``"CR1"``, ``"CR2"`` and ``"CR3"`` correct it for few
            clusters.
        which : ``"fixed"`` for the fixed effects (p, p). ``"all"`` for all parameters (P, P) on the scales on which they are free:
            ``L[row,column]`` are the entries of the factor L of D = L L' (``D[...]`` for other structures), ``phi[name]`` the extra
            parameters (the logarithm of a positive one), ``zi_`` begins the names of the zero part and ``dispersion_`` those of the
            dispersion.

        Returns
        -------
        DataFrame
            Rows and columns are the names of the parameters. NaN where a parameter has no standard error (a fit without certificate).
            At a singular D it is the covariance inside the set of matrices of that rank.

        Raises
        ------
        ArgumentError
            For another ``robust`` or ``which``.
        RowsNotKeptError
            For a robust covariance of a streamed fit.

        Source: White (1982), Econometrica 50, 1-25; Liang and Zeger (1986), Biometrika 73, 13-22; Kauermann and Carroll (2001), JASA 96,
        1387-1396; Bell and McCaffrey (2002), Survey Methodology 28, 169-181.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.cov_params("CR2").round(3)
                            Intercept  sex[T.female]   time  sex[T.female]:time
        Intercept               0.176         -0.126 -0.009               0.005
        sex[T.female]          -0.126          0.301  0.005              -0.019
        time                   -0.009          0.005  0.002              -0.002
        sex[T.female]:time      0.005         -0.019 -0.002               0.004
        """
        return tables.covariance_frame(self.fitted_model, robust, which)

    @takes(which=OneOf(*WHICH), method=OneOf(*METHODS), level=LEVEL, robust=ROBUST, n=COUNT, kind=OneOf(BOOTSTRAPS), seed=SEED)
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
        r"""Confidence intervals of the parameters.

        Parameters
        ----------
        which : ``"fixed"``, ``"random"`` (standard deviations and correlations of the random effects), ``"phi"`` (extra parameters on
            their natural scale), ``"zero"`` (the zero part), ``"dispersion"``, or ``"all"``. With ``"all"`` the labels of the zero part
            begin with ``zi_`` and those of the dispersion with ``dispersion_``.
        method : ``"wald"``: estimate plus and minus standard errors on a scale without bounds, transformed back. The scale is the
            logarithm of a standard deviation, Fisher's z of a correlation, the free scale of an extra parameter, and a threshold's own.
            ``"profile"``: the values at which the log-likelihood (plus penalty), maximised over all other parameters, lies
            :math:`\chi^2_1(level)/2` below its maximum. Where it does not drop that far, the limit is the edge of the parameter
            space, such as 0 for a standard deviation. ``"bootstrap"``: percentiles of refits.
        level : coverage, between 0 and 1.
        robust : as in ``cov_params``; for ``method="wald"``.
        n, kind, seed : number of draws, ``"parametric"``, ``"cluster"`` or ``"wild"``, and seed of ``method="bootstrap"``.

        Returns
        -------
        DataFrame
            One row a parameter, with columns ``estimate``, ``lower``, ``upper``. ``attrs`` holds ``level``, ``method``, and for a bootstrap
            ``n_used`` and ``n_not_converged``. NaN, with a warning that names the parameters, for limits that do not exist or were not
            found.

        Raises
        ------
        ArgumentError
            For an argument that is not allowed, for parameters that the model does not have, and when none of the parameters has a Wald
            interval (standard deviations and correlations at a singular D).
        RowsNotKeptError
            For all but plain Wald intervals of a streamed fit.

        Warns
        -----
        ConvergenceWarning
            When limits do not exist or were not found.

        Source: Venzon and Moolgavkar (1988), Applied Statistics 37, 87-94; Davison and Hinkley (1997), Bootstrap Methods.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.conf_int().round(2)
                            estimate  lower  upper
        Intercept              -2.62  -3.49  -1.75
        sex[T.female]          -1.32  -2.59  -0.06
        time                    0.29   0.21   0.36
        sex[T.female]:time      0.04  -0.07   0.15
        """
        return tables.interval_frame(confidence_intervals(self.fitted_model, which, method, level, robust, n=n, kind=kind, seed=seed))

    @takes(part=OneOf(*COEFFICIENTS), intercept=FLAG, exponentiate=OneOf(None, True, False), level=LEVEL, robust=ROBUST, ax=AXES)
    def plot_coefficients(
        self,
        part: str = "fixed",
        *,
        intercept: bool = False,
        exponentiate: bool | None = None,
        level: float = 0.95,
        robust: bool | str = False,
        ax: Any = None,
    ) -> Axes:
        """Forest plot: coefficients with Wald intervals, one line each.

        Intervals that leave out "no effect" are black with filled marks, the others grey with open ones.

        Parameters
        ----------
        part : ``"fixed"``, ``"zero"`` for the zero part, or ``"dispersion"``.
        intercept : draw the intercept too.
        exponentiate : draw exp(coefficient) on a logarithmic axis. None does so where it is an odds ratio or a ratio of means.
        level, robust : as in ``conf_int``.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For a part that the model does not have, and no coefficient to draw.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_coefficients()
        >>> ax.get_xlabel(), [label.get_text() for label in ax.get_yticklabels()]
        ('Odds ratio, 95 % interval', ['sex[T.female]', 'time', 'sex[T.female]:time'])
        """
        chosen: Any = {"intercept": intercept, "exponentiate": exponentiate, "level": level, "robust": robust}
        return plots.plot_coefficients(self.fitted_model, part, **chosen, ax=ax)
