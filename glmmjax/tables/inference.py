"""Tests and comparisons of fits as labelled tables and text."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.anova import Comparison
from glmmjax.postfit.inference.model_comparison import ModelTable
from glmmjax.postfit.inference.score_test import ScoreTest
from glmmjax.postfit.inference.vif import variance_inflation
from glmmjax.postfit.inference.wald import WaldTest
from glmmjax.postfit.uncertainty.p_values import normal_two_sided
from glmmjax.tables.export import html_fragment
from glmmjax.tables.page import Summary
from glmmjax.tables.result_frame import ResultFrame
from glmmjax.tables.text import HEADINGS, Section, p_text, wrapped

__all__ = [
    "anova_frame",
    "anova_html",
    "anova_text",
    "comparison_frame",
    "comparison_page",
    "test_frame",
    "test_html",
    "test_text",
    "vif_frame",
]


def vif_frame(fitted: FittedModel) -> pd.DataFrame:
    """Generalised variance inflation factors, one row a term."""
    found = variance_inflation(fitted)
    columns = {"GVIF": found.factors, "df": found.df, "GVIF^(1/(2 df))": found.factors ** (0.5 / found.df)}
    return ResultFrame(columns, index=list(found.terms))


def test_frame(test: WaldTest | ScoreTest) -> pd.DataFrame:
    """Each hypothesis or added column tested by itself, one row each."""
    if isinstance(test, WaldTest):
        z = (test.estimates - test.values) / test.errors
        columns = {"estimate": test.estimates, "value": test.values, "std_error": test.errors, "z": z, "p_value": normal_two_sided(z)}
        return ResultFrame(columns, index=list(test.hypotheses))
    z = test.scores / np.sqrt(test.variances)
    columns = {"one_step": test.one_step, "score": test.scores, "variance": test.variances, "z": z, "p_value": normal_two_sided(z)}
    return ResultFrame(columns, index=list(test.names))


def test_text(test: WaldTest | ScoreTest) -> str:
    """The joint test above the table of single tests."""
    return f"{_title(test)}\n{_joint(test)}\n\n{_texts(test).to_string()}"


def test_html(test: WaldTest | ScoreTest) -> str:
    """The joint test and the table as HTML for notebooks."""
    return html_fragment((Section(_title(test), (_joint(test),), _texts(test)),))


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
    texts["p_value"] = [p_text(p) for p in frame["p_value"]]
    return texts.rename(columns={name: HEADINGS.get(name, name.capitalize().replace("_", "-")) for name in texts})


def anova_frame(comparison: Comparison) -> pd.DataFrame:
    """One row a fit, the test in the row of the larger one."""
    rows = (comparison.smaller, comparison.larger)
    test: dict[str, float | None] = {"LRT": comparison.statistic, "df": comparison.df, "p-value": comparison.p_value}
    if comparison.null is not None:
        test["MC error"] = comparison.null.p_error
    columns = {"AIC": [row.aic for row in rows], "BIC": [row.bic for row in rows], "log.Lik": [row.log_likelihood for row in rows]}
    columns |= {name: [math.nan, math.nan if value is None else value] for name, value in test.items()}
    return ResultFrame(columns, index=[row.name for row in rows])


def anova_text(comparison: Comparison) -> str:
    """The comparison, with the formulas above and the notes below."""
    notes = ["", *map(wrapped, comparison.notes)] if comparison.notes else []
    return "\n".join([*_anova_formulas(comparison), "", _anova_texts(comparison).to_string(), *notes])


def anova_html(comparison: Comparison) -> str:
    """The comparison as HTML for notebooks."""
    section = Section("Likelihood-ratio test", tuple(_anova_formulas(comparison)), _anova_texts(comparison), comparison.notes)
    return html_fragment((section,))


def _anova_formulas(comparison: Comparison) -> list[str]:
    return [f"{row.name}: {row.formula}" for row in (comparison.smaller, comparison.larger)]


def _anova_texts(comparison: Comparison) -> pd.DataFrame:
    texts = anova_frame(comparison).map(lambda value: "" if math.isnan(value) else f"{value:.2f}")
    texts["df"] = ["", "" if comparison.df is None else f"{comparison.df}"]
    texts["p-value"] = ["", "" if comparison.p_value is None else p_text(comparison.p_value)]
    if comparison.null is not None:
        texts["MC error"] = ["", f"{comparison.null.p_error:.4f}"]
    return texts


def comparison_frame(table: ModelTable) -> pd.DataFrame:
    """One row a fit, with the test against the fit in the row above."""
    tests = [(None, None, None) if test is None else (test.statistic, test.df, test.p_value) for test in table.tests]
    best = min(row.aic for row in table.rows)
    columns = {
        "N": list(table.n_rows),
        "clusters": [math.nan if n is None else n for n in table.n_clusters],
        "npar": [row.n_parameters for row in table.rows],
        "log.Lik": [row.log_likelihood for row in table.rows],
        "AIC": [row.aic for row in table.rows],
        "dAIC": [row.aic - best if table.uses_one_table else math.nan for row in table.rows],
        "BIC": [row.bic for row in table.rows],
        **{name: [math.nan if test[k] is None else test[k] for test in tests] for k, name in enumerate(("LRT", "df", "p-value"))},
    }
    return ResultFrame(columns, index=[row.name for row in table.rows])


def comparison_page(table: ModelTable) -> Summary:
    """The comparison as a page: formulas, table, notes."""
    frame = comparison_frame(table)
    whole = ("N", "clusters", "npar", "df")
    texts = pd.DataFrame({name: [_cell(value, name in whole) for value in frame[name]] for name in frame}, index=frame.index)
    texts["p-value"] = ["" if math.isnan(p) else p_text(p) for p in frame["p-value"]]
    if (texts["clusters"] == "").all():
        texts = texts.drop(columns="clusters")
    section = Section("Comparison of models", tuple(f"{row.name}: {row.formula}" for row in table.rows), texts, table.notes)
    return Summary((section,), {"comparison": frame})


def _cell(value: float, is_whole: bool) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if is_whole else f"{value:.2f}"
