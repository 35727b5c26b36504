"""A fit in the terms of the package maketables (and pyfixest's ``etable``), which needs no import: coefficients and statistics by its keys.

Source: the plug-in format of maketables 0.2, https://github.com/py-econometrics/maketables, PLUGIN_EXTRACTOR_FORMAT.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from glmmjax.errors import GlmmError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.information_criteria import aic, bic, n_groups, n_parameters, n_rows
from glmmjax.postfit.population.variance_shares import variances
from glmmjax.tables.population import icc_series, r2_series
from glmmjax.tables.tidy import tidy_frame

__all__ = ["DEFAULT_STATISTICS", "STATISTICS", "paper_frame", "paper_statistic"]

_COLUMNS = {"estimate": "b", "std.error": "se", "statistic": "t", "p.value": "p", "conf.low": "ci95l", "conf.high": "ci95u"}
_PREFIXES = {"cond": "", "zi": "zi: ", "disp": "dispersion: "}

_STATISTICS: dict[str, tuple[str, Callable[[FittedModel], Any]]] = {
    "N": ("Observations", n_rows),
    "n_clusters": ("Clusters", lambda fitted: n_groups(fitted) if fitted.design.group_name is not None else None),
    "df_model": ("Parameters", n_parameters),
    "ll": ("Log-likelihood", lambda fitted: fitted.log_likelihood),
    "aic": ("AIC", aic),
    "bic": ("BIC", bic),
    "deviance": ("-2 log-likelihood", lambda fitted: -2.0 * fitted.log_likelihood),
    "r2": ("R2 (marginal)", lambda fitted: r2_series(variances(fitted, "lognormal", None))["marginal"]),
    "r2_conditional": ("R2 (conditional)", lambda fitted: r2_series(variances(fitted, "lognormal", None))["conditional"]),
    "icc": ("ICC (adjusted)", lambda fitted: icc_series(variances(fitted, "lognormal", None, needs_random=True))["adjusted"]),
    "family": ("Family", lambda fitted: fitted.problem.family.name),
    "link": ("Link", lambda fitted: fitted.problem.family.link.name),
    "n_agq": ("Quadrature points", lambda fitted: fitted.n_agq if fitted.design.random_names else None),
    "converged": ("Converged", lambda fitted: "yes" if fitted.convergence.has_converged else "no"),
    "se_type": ("S.E. type", lambda fitted: "exact Hessian"),
}
STATISTICS = {key: label for key, (label, _) in _STATISTICS.items()}  # their headings
DEFAULT_STATISTICS = ["N", "n_clusters", "ll", "aic", "bic"]  # a list, as maketables asks for


def paper_frame(fitted: FittedModel) -> pd.DataFrame:
    """Estimates of all parameters: ``b``, ``se``, ``t``, ``p``, ``ci95l``, ``ci95u``, a row each.

    The effects on the zero part begin with ``zi:``, those on the dispersion with ``dispersion:``. Standard deviations and correlations of
    the random effects have no test, and no standard error at a singular D.
    """
    frame = tidy_frame(fitted, True, 0.95, False, "all", False)
    terms = [
        f"{_PREFIXES[component] if effect == 'fixed' else ''}{term}"
        for effect, component, term in zip(frame["effect"], frame["component"], frame["term"], strict=True)
    ]
    return frame[list(_COLUMNS)].rename(columns=_COLUMNS).set_index(pd.Index(terms, name="Coefficient"))


def paper_statistic(fitted: FittedModel, key: str) -> Any:
    """The statistic ``key`` of ``STATISTICS``; None for any other, and where the fit has none."""
    if key not in _STATISTICS:
        return None
    try:
        return _STATISTICS[key][1](fitted)
    except GlmmError:  # a family without R2, rows that are not kept
        return None
