"""Covariance matrices, confidence intervals and tests as labelled tables and text."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.confidence import confidence_intervals
from glmmjax.postfit.p_values import normal_two_sided
from glmmjax.postfit.score_test import ScoreTest
from glmmjax.postfit.vcov import covariance
from glmmjax.postfit.vif import variance_inflation
from glmmjax.postfit.wald import WaldTest, theta_names
from glmmjax.tables.text import p_text

__all__ = ["covariance_frame", "interval_frame", "test_frame", "test_html", "test_text", "vif_frame"]


def covariance_frame(fitted: FittedModel, robust: bool | str = False, which: str = "fixed") -> pd.DataFrame:
    """Covariance of the fixed effects, or of all of theta."""
    if which not in ("fixed", "all"):
        raise ArgumentError(f"which={which!r} must be 'fixed' (the fixed effects) or 'all' (all parameters, on their free scales).")
    names, full = theta_names(fitted), covariance(fitted, robust)
    size = fitted.problem.layout.p if which == "fixed" else len(names)
    return pd.DataFrame(full[:size, :size], index=list(names[:size]), columns=list(names[:size]))


def interval_frame(fitted: FittedModel, *arguments: Any) -> pd.DataFrame:
    """Estimates with the limits of ``confidence_intervals``; level, method and counts of refits are in ``attrs``."""
    found = confidence_intervals(fitted, *arguments)
    columns = {"estimate": found.estimates, "lower": found.lower, "upper": found.upper}
    frame = pd.DataFrame(columns, index=list(found.labels))
    frame.attrs.update(level=found.level, method=found.method)
    if found.n_used is not None:
        frame.attrs.update(n_used=found.n_used, n_not_converged=found.n_lost)
    return frame


def vif_frame(fitted: FittedModel) -> pd.DataFrame:
    """Generalised variance inflation factors, one row a term."""
    found = variance_inflation(fitted)
    columns = {"GVIF": found.factors, "df": found.df, "GVIF^(1/(2 df))": found.factors ** (0.5 / found.df)}
    return pd.DataFrame(columns, index=list(found.terms))


def test_frame(test: WaldTest | ScoreTest) -> pd.DataFrame:
    """One row a hypothesis or added column, each tested by itself."""
    if isinstance(test, WaldTest):
        z = (test.estimates - test.values) / test.errors
        columns = {"Estimate": test.estimates, "Value": test.values, "Std.Err": test.errors, "z-value": z, "p-value": normal_two_sided(z)}
        return pd.DataFrame(columns, index=list(test.hypotheses))
    z = test.scores / np.sqrt(test.variances)
    columns = {"One-step": test.one_step, "Score": test.scores, "Variance": test.variances, "z-value": z, "p-value": normal_two_sided(z)}
    return pd.DataFrame(columns, index=list(test.names))


def test_text(test: WaldTest | ScoreTest) -> str:
    """The joint test, and the rows below it."""
    return f"{_title(test)}\n{_joint(test)}\n\n{_texts(test).to_string()}"


def test_html(test: WaldTest | ScoreTest) -> str:
    """The same for notebooks."""
    return f"<h4>{html.escape(_title(test))}</h4><p>{html.escape(_joint(test))}</p>{_texts(test).to_html(border=0)}"


def _title(test: WaldTest | ScoreTest) -> str:
    if isinstance(test, ScoreTest):
        return "Score test of added terms"
    kind = "CR0" if test.robust is True else test.robust
    return "Wald test of linear hypotheses" + (f" (robust covariance {kind})" if kind else "")


def _joint(test: WaldTest | ScoreTest) -> str:
    return f"chi2({test.df}) = {test.statistic:.4f}, p-value {p_text(test.p_value)}"


def _texts(test: WaldTest | ScoreTest) -> pd.DataFrame:
    frame = test_frame(test)
    texts = frame.map(lambda value: f"{value:.4f}")
    texts["p-value"] = [p_text(p) for p in frame["p-value"]]
    return texts
