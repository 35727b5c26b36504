"""``cross_validate``: how well fits predict clusters that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import SEED, Judged, SomeOf, Whole, takes
from glmmjax.postfit.inference.cross_validation import CROSS_SCORES, CrossValidation, FoldSettings, cross_validation
from glmmjax.progress import PROGRESS, Watch
from glmmjax.results.comparison import named_fits
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import resampling as tables
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CrossValidationResults", "cross_validate"]


class CrossValidationResults:
    """Scores of held-out clusters, as ``cross_validate`` returns them; ``validation`` holds the plain numbers."""

    def __init__(self, validation: CrossValidation):
        self.validation = validation

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row a score and fit: ``score``, ``estimate``, ``std_error``, and of several fits ``difference``.

        ``difference`` is the estimate minus that of the first fit, ``difference_error`` its standard error, paired by cluster.
        """
        return tables.cross_validation_frame(self.validation)

    @property
    def log_scores(self) -> pd.DataFrame:
        """DataFrame of held-out log-likelihoods, times the weight: one row a cluster, one column a fit; NaN without a certified maximum."""
        return tables.log_score_frame(self.validation)

    @property
    def folds(self) -> pd.Series:
        """Number of the fold of each cluster: Series by cluster, from 0."""
        return tables.fold_series(self.validation)

    @property
    def page(self) -> Summary:
        """The table with its notes as a ``Summary``: ``page.to_latex()``, ``page.to_markdown()``, ``page.to_html()``."""
        return tables.cross_validation_page(self.validation)

    def __str__(self) -> str:
        return str(self.page)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.page.to_html()


@takes(folds=Whole(2), score=SomeOf(CROSS_SCORES), names=Judged("None, or a list of one name a fit"), seed=SEED, progress=PROGRESS)
def cross_validate(
    *fits: MixedModelResults,
    folds: int = 5,
    score: str | Sequence[str] = "log",
    names: list[str] | None = None,
    seed: int = 0,
    progress: Any = False,
) -> CrossValidationResults:
    r"""How well models predict clusters that they have not seen: whole clusters are held out, fold by fold.

    .. math:: \text{log score} = \sum_i w_i \log \int \prod_j p(y_{ij} \mid b; \hat\theta_{(-f(i))})\, N(b; 0, D_{(-f(i))})\, db

    Parameters
    ----------
    *fits : one or more results of ``mixed_model`` for the same data. All have the same folds.
    folds : number of folds, at least 2; clusters are put into them at random, in equal numbers. The number of clusters leaves out one
        cluster at a time.
    score : one or several of ``"log"``, the log-likelihood of each held-out cluster at the estimates without its fold, summed over
        clusters; ``"brier"`` and ``"crps"``, as in ``scoring_rules``, and ``"auc"``, the area under the ROC curve of an outcome of 0 and 1,
        of the marginal distribution of each held-out row, which averages over the random effects of a new cluster. They are means over rows
        (over pairs of rows). The CRPS of a continuous outcome is estimated from 1,000 draws a row. All are larger for better predictions.
    names : what the table calls the fits; ``fit0``, ``fit1``, ... when None.
    seed : whole number >= 0, of the folds and draws; the same seed gives the same.
    progress : True shows how many refits are done, by a bar of tqdm where that is installed; a function is called with a record of
        each. Each fit has its own count.

    Returns
    -------
    CrossValidationResults
        ``table``, ``log_scores``, ``folds``, ``page``. Standard errors are over clusters. Differences are from the first fit, and their
        standard errors are paired by cluster, so that they are smaller than those of the scores. A fold without which a fit has no
        certified maximum is counted in no fit, and named below the table.

    Raises
    ------
    ArgumentError
        For another argument; fits of other data; a fit that is no certified maximum; more folds than clusters; and a score that a family
        does not have.
    RowsNotKeptError
        For streamed fits.

    Source: Gneiting and Raftery (2007), JASA 102, 359-378; Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432, for
    differences; Obuchowski (1997), Biometrics 53, 567-578, for the standard error of the area under the curve.

    Examples
    --------
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    >>> smaller = fit.update(fixed="y ~ sex + time")
    >>> gj.cross_validate(smaller, fit, folds=10)
    Cross-validation:
         Score Estimate Std.Err Difference Diff.Err
    ...
    10 folds of 100 clusters, seed 0. All scores are larger for better predictions.
    log is the sum of the log-likelihoods of held-out clusters.
    """
    given = named_fits("cross_validate", fits, names, 1)
    scores = tuple(dict.fromkeys((score,) if isinstance(score, str) else score))
    with Watch(progress):
        return CrossValidationResults(cross_validation([fit.fitted_model for fit in fits], given, FoldSettings(folds, scores, seed)))
