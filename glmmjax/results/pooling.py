"""``pool``: one answer from the fits of several imputed data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import LEVEL, Judged, Maybe, Number, takes
from glmmjax.errors import ArgumentError
from glmmjax.postfit.inference.anova import family_text
from glmmjax.results.many import ManyFits
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables.pooling import pooled_frame
from glmmjax.values import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pool"]

_DF = Maybe(Number(0.0, 1e15, "a number above 0, below 1e15"), "infinite")


@takes(fits=Judged("a list of fits, or what fit_many gave"), level=LEVEL, complete_df=_DF)
def pool(fits: Sequence[MixedModelResults] | ManyFits, *, level: float = 0.95, complete_df: float | None = None) -> pd.DataFrame:
    r"""Pool the coefficients of one model that was fitted to several imputed data sets, by Rubin's rules.

    .. math:: \bar Q = \tfrac1m \sum_k Q_k, \qquad T = \tfrac1m \sum_k U_k + (1 + \tfrac1m) B

    with the variances :math:`U_k` of the estimates :math:`Q_k`, and :math:`B` their variance over the m imputations.

    Parameters
    ----------
    fits : a list of fits of the same model, one for each imputed data set; or what ``fit_many(..., by="imputation")`` gave.
    level : of the confidence intervals.
    complete_df : degrees of freedom that complete data would have, such as clusters less coefficients where covariates belong to clusters.
        None takes them as infinite, as Wald tests of a single fit do.

    Returns
    -------
    DataFrame
        A row a coefficient: ``component``, ``term``, ``estimate``, ``std.error``, ``statistic``, ``df`` (Barnard and Rubin's), ``p.value``
        (Student's t), ``conf.low``, ``conf.high``, ``riv`` (relative increase in variance due to missing values), ``fmi`` (fraction of
        missing information).

    Raises
    ------
    ArgumentError
        For fewer than two fits, fits of other terms or families, and a fit without a certificate, whose estimates mean nothing.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, Wiley; Barnard and Rubin (1999), Biometrika 86, 948-955.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> data, draws = gj.datasets.load_intro_binomial(), np.random.default_rng(1)
    >>> parts = [data.assign(x=data["time"] + draws.normal(0, 2, len(data)), imputation=k) for k in range(5)]
    >>> fits = gj.fit_many("y ~ x", "~ 1 | id", data=pd.concat(parts), by="imputation", family="binomial")
    >>> gj.pool(fits)[["term", "estimate", "std.error", "df", "fmi"]].round(2)
            term  estimate  std.error      df   fmi
    0  Intercept     -2.86       0.35  282.42  0.13
    1          x      0.25       0.03  108.32  0.21
    """
    frames = _tidy_tables(fits)
    if len(frames) < 2:
        raise ArgumentError(f"fits has {len(frames)} fit; pooling takes two or more, one for each imputed data set.")
    return pooled_frame(frames, level, float("inf") if complete_df is None else complete_df)


def _tidy_tables(fits: Any) -> list[pd.DataFrame]:
    """The coefficients of each fit.

    Raises
    ------
    ArgumentError
        For something else than fits of one model that all have a certificate.
    """
    if isinstance(fits, ManyFits):
        named = zip(fits.code.items(), fits.converged, strict=True)
        _refuse_uncertified([one for one, is_converged in named if not is_converged])
        table = fits.tidy("fixed", adjust="none")
        size = len(table) // max(1, len(fits))
        return [table.iloc[first : first + size] for first in range(0, len(table), size)]
    fits = list(fits) if isinstance(fits, list | tuple) else [fits]
    for k, fit in enumerate(fits):
        if not isinstance(fit, MixedModelResults):
            raise ArgumentError(f"fits has {shown(fit)} at place {k}; it must be a list of fits of mixed_model, or what fit_many gave.")
    _refuse_uncertified([(k, fit.convergence.code.name) for k, fit in enumerate(fits) if not fit.converged])
    kinds = [_kind_of(fit) for fit in fits]
    for k, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ArgumentError(f"fits are of different models: {kinds[0]} at place 0, {kind} at place {k}; fit the same to each data set.")
    return [fit.tidy(effects="fixed") for fit in fits]


def _kind_of(fit: MixedModelResults) -> str:
    """What fits of imputed data sets have in common."""
    design = fit.fitted_model.design
    columns = [*design.fixed_names, *design.zi_fixed_names, *design.dispersion_names]
    text = f"{design.outcome_name} by {family_text(fit.fitted_model)} with {', '.join(columns)}"
    return f"{text}, and random {', '.join(design.random_names)} by {design.group_name}" if design.random_names else text


def _refuse_uncertified(codes: list[tuple[Any, str]]) -> None:
    if codes:
        name, code = codes[0]
        raise ArgumentError(
            f"{len(codes)} of the fits have no certificate of a maximum, such as {name!r} ({code}); mend or leave out these data sets."
        )
