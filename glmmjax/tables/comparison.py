"""The comparison of two fits as a table."""

from __future__ import annotations

import html
import math

import pandas as pd

from glmmjax.postfit.anova import Comparison
from glmmjax.tables.text import p_text, wrapped

__all__ = ["anova_frame", "anova_html", "anova_text"]


def anova_frame(comparison: Comparison) -> pd.DataFrame:
    """One row a fit, the test in the row of the larger one."""
    rows = (comparison.smaller, comparison.larger)
    test = {"LRT": comparison.statistic, "df": comparison.df, "p-value": comparison.p_value}
    columns = {"AIC": [row.aic for row in rows], "BIC": [row.bic for row in rows], "log.Lik": [row.log_likelihood for row in rows]}
    columns |= {name: [math.nan, math.nan if value is None else value] for name, value in test.items()}
    return pd.DataFrame(columns, index=[row.name for row in rows])


def anova_text(comparison: Comparison) -> str:
    """The comparison with the formulas above it, and what has to be said on it below."""
    notes = ["", *map(wrapped, comparison.notes)] if comparison.notes else []
    return "\n".join([*_formulas(comparison), "", _texts(comparison).to_string(), *notes])


def anova_html(comparison: Comparison) -> str:
    """The same for notebooks."""
    above, below = ("<br>".join(map(html.escape, lines)) for lines in (_formulas(comparison), comparison.notes))
    return f"<p>{above}</p>{_texts(comparison).to_html(border=0)}<p>{below}</p>"


def _formulas(comparison: Comparison) -> list[str]:
    return [f"{row.name}: {row.formula}" for row in (comparison.smaller, comparison.larger)]


def _texts(comparison: Comparison) -> pd.DataFrame:
    texts = anova_frame(comparison).map(lambda value: "" if math.isnan(value) else f"{value:.2f}")
    texts["df"] = ["", "" if comparison.df is None else f"{comparison.df}"]
    texts["p-value"] = ["", "" if comparison.p_value is None else p_text(comparison.p_value)]
    return texts
