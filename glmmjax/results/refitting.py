"""Refits: influence of clusters, bootstrap."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, COUNT, FLAG, SEED, OneOf, Whole, takes
from glmmjax.fitted import FittedModel
from glmmjax.postfit.refitting.bootstrap import BOOTSTRAPS, bootstrap
from glmmjax.postfit.refitting.influence import METHODS, PARTS, Influence
from glmmjax.postfit.refitting.wild import MULTIPLIERS
from glmmjax.progress import PROGRESS, Watch
from glmmjax.results.bootstrap import BootstrapResults
from glmmjax.results.influence import InfluenceResults

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Refitting"]


class Refitting:
    """Methods that refit the model to changed data."""

    fitted_model: FittedModel

    @functools.cached_property
    def _influence(self) -> InfluenceResults:
        return InfluenceResults(Influence(self.fitted_model))

    def influence(self) -> InfluenceResults:
        """How much each cluster moves the estimates.

        Returns
        -------
        InfluenceResults
            ``cooks_distance()``, ``dfbetas()``, ``leave_cluster_out_score()``, ``plot()``, which share the refits without each cluster.
            The refits are made when a method first needs them, and kept as long as this fit.

        Source: Cook (1977), Technometrics 19, 15-18; Belsley, Kuh and Welsch (1980), Regression Diagnostics.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> influence = fit.influence()
        >>> influence.cooks_distance().nlargest(3).index.to_list()
        [44, 56, 96]
        >>> f"{influence.leave_cluster_out_score().sum():.2f}"
        '-380.00'
        """
        return self._influence

    @takes(method=OneOf(METHODS), part=OneOf(*PARTS), scaled=FLAG)
    def cooks_distance(self, method: str = "refit", part: str = "fixed", scaled: bool = False) -> pd.Series:
        r"""Cook's distance of every cluster: how far the coefficients move when it is left out.

        .. math:: (\hat\beta - \hat\beta_{(i)})' V^{-1} (\hat\beta - \hat\beta_{(i)})

        Parameters
        ----------
        method : ``"refit"`` maximises the likelihood without each cluster (kept for later calls); ``"one_step"`` takes one Newton step
            towards that maximum from the cluster's score and Hessian at the estimates.
        part : ``"fixed"``, ``"zero"`` for the coefficients of the zero part, or ``"dispersion"``. V is their covariance in this fit.
        scaled : divide by the number of coefficients.

        Returns
        -------
        Series
            One distance a cluster, by its label. A cluster is left out with its whole weight. NaN, with a ``ConvergenceWarning``, for a
            cluster without which the model has no maximum.

        Raises
        ------
        ArgumentError
            For another argument; for a fit without certificate, or of one cluster.
        RowsNotKeptError
            For a streamed fit.

        Source: Cook (1977), Technometrics 19, 15-18; Pregibon (1981), Annals of Statistics 9, 705-724, for one step.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.cooks_distance().nlargest(3).round(2)
        id
        44    0.46
        56    0.25
        96    0.18
        Name: cooks_distance, dtype: float64
        """
        return self.influence().cooks_distance(method, part, scaled)

    @takes(method=OneOf(METHODS))
    def dfbetas(self, method: str = "refit") -> pd.DataFrame:
        """Change of every parameter when a cluster is left out, in standard errors of this fit: (all clusters - without it) / se.

        Parameters
        ----------
        method : as in ``cooks_distance``.

        Returns
        -------
        DataFrame
            One row a cluster, one column a parameter: the coefficients, standard deviations and correlations of the random effects, extra
            parameters on their natural scale, then the zero part (``zi_``) and the dispersion (``dispersion_``). At a singular D its
            standard deviations and correlations have no standard error, and their columns are NaN.

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``cooks_distance``.

        Source: Belsley, Kuh and Welsch (1980), Regression Diagnostics.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.dfbetas().loc[[44, 56]].round(1)
            Intercept  sex[T.female]  time  sex[T.female]:time  sd(Intercept)
        id
        44        0.3           -0.2  -0.7                 0.4           -0.2
        56        0.1            0.2  -0.1                -0.3           -0.2
        """
        return self.influence().dfbetas(method)

    def leave_cluster_out_score(self) -> pd.Series:
        """Log marginal likelihood of every cluster at the estimates without it, times its weight.

        The sum of the scores is the log score of leave-one-cluster-out cross-validation. Among models for the same outcomes the one with
        the largest sum predicts new clusters best. The refits are shared with ``cooks_distance``.

        Returns
        -------
        Series
            One score a cluster, by its label; NaN for a cluster without which the model has no maximum.

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``cooks_distance``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> smaller = fit.update(fixed="y ~ sex + time")
        >>> [f"{model.leave_cluster_out_score().sum():.2f}" for model in (fit, smaller)]
        ['-380.00', '-378.95']
        """
        return self.influence().leave_cluster_out_score()

    @takes(ax=AXES, method=OneOf(METHODS), part=OneOf(*PARTS), scaled=FLAG, n_labels=Whole(0))
    def plot_influence(
        self, method: str = "refit", part: str = "fixed", scaled: bool = False, n_labels: int = 5, ax: Axes | None = None
    ) -> Axes:
        """Cook's distances by cluster, the largest with their labels.

        Parameters
        ----------
        method, part, scaled : as in ``cooks_distance``.
        n_labels : number of clusters with a label, the largest first.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError, RowsNotKeptError
            As ``cooks_distance``; for another ``n_labels``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_influence(n_labels=3)
        >>> ax.get_ylabel(), sorted(text.get_text() for text in ax.texts)
        ("Cook's distance", ['44', '56', '96'])
        """
        return self.influence().plot(method, part, scaled, n_labels, ax)

    @takes(n=COUNT, kind=OneOf(BOOTSTRAPS), seed=SEED, multipliers=OneOf(MULTIPLIERS), progress=PROGRESS)
    def bootstrap(
        self, n: int = 1000, kind: str = "parametric", seed: int = 0, *, multipliers: str = "rademacher", progress: Any = False
    ) -> BootstrapResults:
        r"""Refit the model to ``n`` bootstrap data sets, from its estimates, or draw estimates without a refit.

        .. math:: \text{wild:} \quad \hat\theta^* = \hat\theta + V \sum_i \xi_i w_i s_i

        Parameters
        ----------
        n : number of data sets, at least 1.
        kind : ``"parametric"`` draws random effects from N(0, D) and outcomes from the family, with the covariates, offsets, trials and
            weights as they are; ``"cluster"`` draws whole clusters with replacement, which does not rest on the model within clusters.
            ``"wild"`` multiplies the scores s of the clusters, with their weights w, by random numbers and takes one step with the inverse
            information V: the draws have the sandwich CR0 as covariance, and cost next to nothing.
        seed : whole number >= 0; the same seed gives the same data sets.
        multipliers : the random numbers of ``kind="wild"``: ``"rademacher"``, 1 or -1, or ``"normal"``.
        progress : True shows how many refits are done, by a bar of tqdm where that is installed; a function is called with a record of
            each.

        Returns
        -------
        BootstrapResults
            ``params``, ``converged``, ``conf_int(level, ci)``.

        Raises
        ------
        ArgumentError
            For another argument, a fit without certificate, a family that cannot be simulated from, or clusters drawn from only one.
        RowsNotKeptError
            For a streamed fit.

        Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, sections 2.2 and 3.8; Kline and Santos (2012), Journal
        of Econometric Methods 1, 23-41, for ``"wild"``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> boot = fit.bootstrap(n=50)
        >>> boot, boot.params.shape
        (parametric bootstrap, 50 data sets, seed 0, (50, 5))
        >>> fit.bootstrap(n=5000, kind="wild")
        wild bootstrap, 5000 draws, seed 0
        """
        with Watch(progress):
            return BootstrapResults(self.fitted_model, bootstrap(self.fitted_model, n, kind, seed, multipliers))
