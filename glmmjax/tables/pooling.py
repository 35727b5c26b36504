"""Pooled coefficients of several fits as a labelled table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from glmmjax.postfit.inference.pooling import pooled

__all__ = ["pooled_frame"]

_NAMES = ["component", "term"]


def pooled_frame(tidy: Sequence[pd.DataFrame], level: float, complete_df: float) -> pd.DataFrame:
    """One row a coefficient, from one tidy table a fit; all have the same rows."""
    stacked = {name: pd.concat([table[name].reset_index(drop=True) for table in tidy], axis=1).T for name in ("estimate", "std.error")}
    found = pooled(stacked["estimate"].to_numpy(), stacked["std.error"].to_numpy(), complete_df)
    low, high = found.limits(level)
    columns = {
        "estimate": found.estimates,
        "std.error": found.errors,
        "statistic": found.statistics,
        "df": found.df,
        "p.value": found.p_values,
        "conf.low": low,
        "conf.high": high,
        "riv": found.increase,
        "fmi": found.missing_information,
    }
    return tidy[0][_NAMES].reset_index(drop=True).assign(**columns)
