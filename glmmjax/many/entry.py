"""``fit_many``: one model fitted to many outcomes."""

from __future__ import annotations

import dataclasses
from typing import Any

from glmmjax.arguments import takes
from glmmjax.design import caller_namespace
from glmmjax.families import Family
from glmmjax.many.arguments import MANY, check_moderated, many_arguments
from glmmjax.many.run import fitted_many
from glmmjax.options import Options, StudentTPenalty
from glmmjax.request import FitRequest
from glmmjax.results import ManyFits

__all__ = ["fit_many"]

_DEFAULTS = Options()


@takes(**MANY)
def fit_many(
    fixed: str,
    random: str | None = None,
    *,
    data: Any,
    outcomes: Any = None,
    by: str | None = None,
    family: str | Family,
    weights: Any = None,
    row_weights: Any = None,
    offset: Any = None,
    zi_fixed: str | None = None,
    zi_random: str | None = None,
    zi_offset: Any = None,
    dispersion: str | None = None,
    covariance: str | None = None,
    penalized: bool | StudentTPenalty = False,
    n_agq: int | str | None = None,
    moderate: str | None = None,
    options: Options = _DEFAULTS,
    progress: Any = False,
) -> ManyFits:
    """Fit one model to many outcomes (genes, items, voxels), or to many data sets, many times faster than ``mixed_model`` one by one.

    The fits share their design and are stepped together, on all cores. Each ends where ``mixed_model`` ends, with the same certificate. A
    fit with which ``mixed_model`` would not be content at once (a family near its limit, no certificate, a rule that has not settled and
    whose maximum the finer rule does not confirm) is made once more by itself, as ``mixed_model`` does it; ``summary()`` counts these.
    What is wrong with one outcome stops no other.

    Parameters
    ----------
    fixed : fixed effects, ``"~ sex * time"``; as in ``mixed_model``, without an outcome unless ``by`` is given.
    random : random effects and cluster variable, ``"~ time | id"``.
    data : DataFrame, or a dict of columns, with everything but the outcomes. Rows with a missing value in a used column are dropped.
    outcomes : a row for each row of ``data`` and a column for each fit: a DataFrame (matched by its index, with the names of the fits), a
        NumPy array, or one of SciPy's sparse matrices. An outcome in two columns is a tuple of two such tables, ``(successes, failures)``.
        A list or an iterator gives parts, some fits each; those of an iterator are not kept. A missing outcome takes its row out of that
        fit.
    by : in the place of ``outcomes``, the column of ``data`` whose levels have a fit each, of the outcome that ``fixed`` names; rows in
        which it is missing are in no fit. Levels, means and knots in the formula are those of all rows. Data sets of similar size share
        their programs.
    family : as in ``mixed_model``.
    weights : as in ``mixed_model``, or with a column for each fit: (m, R) numbers, the clusters in order of first appearance in the rows
        used, or a DataFrame with the labels of the clusters in its index.
    offset : as in ``mixed_model``, or with a column for each fit: (N, R) numbers, on the scale of the linear predictor. The columns of a
        DataFrame, here and for ``weights``, have the names of the fits. A missing offset takes its row out of that fit.
    row_weights, zi_fixed, zi_random, zi_offset, dispersion, covariance, penalized, n_agq, options : as in ``mixed_model``.
    moderate : ``"phi"`` shrinks the extra parameter of the family (on its free scale, such as the log size of negative-binomial counts)
        by a normal prior over the fits, whose moments come from the certified fits. ``phi``, ``tidy("extra")`` and ``table()`` then have
        the moderated values, with posterior standard deviations, and ``summary()`` the prior. The fits themselves stay as they are: fixed
        effects, log-likelihoods, tests and ``many[name]`` are those without a prior. None for none.
    progress : True shows one updating line, a function is called with a record of fits done, certified and failed.

    Returns
    -------
    ManyFits
        Tables with a row a fit; ``many[name]`` is an ordinary fit. After Ctrl-C it has the fits that were done until then.

    Raises
    ------
    ArgumentError, FormulaError, OutcomeError, DesignError
        For an argument, formula or data that give no model, outcomes of another length, and outcomes of which none can be fitted.

    Source: for ``moderate``, Smyth (2004), Statistical Applications in Genetics and Molecular Biology 3, article 3; Love, Huber and Anders
    (2014), Genome Biology 15, article 550; moments by Paule and Mandel (1982), Journal of Research of the NBS 87, 377-385.

    Warns
    -----
    ConvergenceWarning
        When some fits carry no certificate; the text counts them.
    DesignWarning
        As ``mixed_model``.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> data = gj.datasets.load_epil()
    >>> draws = np.random.default_rng(1)
    >>> mean = np.exp(1 + draws.normal(size=(59, 40))).repeat(4, axis=0)
    >>> counts = pd.DataFrame(draws.poisson(mean)).add_prefix("gene")
    >>> many = gj.fit_many("~ trt", "~ 1 | subject", data=data, outcomes=counts, family="poisson")
    >>> many
    <ManyFits: 40 fits of poisson(log), ~ trt, ~ 1 | subject; 40 certified>
    >>> many.fe_params.shape
    (40, 2)
    """
    request = FitRequest(
        fixed=fixed, random=random, data=data, family=family, weights=weights, row_weights=row_weights, offset=offset,
        zi_fixed=zi_fixed, zi_random=zi_random,
        zi_offset=zi_offset, dispersion=dispersion, covariance=covariance, penalized=penalized, n_agq=n_agq, options=options,
        progress=progress,
    )  # fmt: skip
    given = many_arguments(request, outcomes, by)
    given = dataclasses.replace(given, is_moderated=check_moderated(given.request, moderate))
    return ManyFits(fitted_many(given, caller_namespace()))
