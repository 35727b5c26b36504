"""A nonparametric law of a random effect as labelled tables and text."""

from __future__ import annotations

import pandas as pd

from glmmjax.fitted import FittedModel
from glmmjax.postfit.refitting.nonparametric_law import NonparametricLaw
from glmmjax.tables.page import Summary
from glmmjax.tables.result_frame import ResultFrame
from glmmjax.tables.text import Section

__all__ = ["nonparametric_page", "support_frame", "support_series"]


def support_frame(fitted: FittedModel, law: NonparametricLaw) -> pd.DataFrame:
    """One row a point."""
    columns = {fitted.design.random_names[0]: law.support, "probability": law.masses, "at_end": law.at_end}
    return ResultFrame(columns, index=pd.RangeIndex(1, len(law.support) + 1, name="point"))


def support_series(fitted: FittedModel, law: NonparametricLaw) -> pd.Series:
    """The fixed effects that go with the law."""
    names = list(fitted.design.fixed_names)
    return pd.Series(law.theta[: len(names)], index=names, name="estimate")


def nonparametric_page(fitted: FittedModel, law: NonparametricLaw) -> Summary:
    """The law, the fixed effects, and how near they are to a maximum."""
    points, coefficients = support_frame(fitted, law), support_series(fitted, law)
    name = fitted.design.random_names[0]
    cells = {name: [f"{value:.4f}" for value in points[name]], "Probability": [f"{value:.4f}" for value in points["probability"]]}
    notes = ["A point at an end of the range stands for one that runs off: the mean and the variance of the law are then not known."]
    law_section = Section(
        f"Law of {name} by {fitted.design.group_name}, {len(points)} points",
        (),
        pd.DataFrame(cells, index=points.index.rename(None)),
        tuple(notes if law.at_end.any() else ()),
    )
    effects = pd.DataFrame({"Estimate": [f"{value:.4f}" for value in coefficients]}, index=coefficients.index)
    fits = (
        f"log.Lik {law.log_likelihood:.4f}; with the law of the fit {fitted.log_likelihood:.4f}",
        f"any other law would add {law.gap:.1e} at most, at these coefficients",
        f"maximum: {law.is_maximum}",
    )
    sections = (law_section, Section("Fixed effects", (), effects), Section("Likelihood", fits))
    return Summary(sections, {"support": points, "fixed": coefficients.to_frame()})
