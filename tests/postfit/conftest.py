"""Fits of the reference cases with post-fit results of GLMMadaptive (``p_*`` files) and exact values beside them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

import glmmjax as gj
from tests.reference_cases import FOLDER, ReferenceCase, load_case, name_map

# those of the session's fits; the others compile for ten seconds each, and again in every test
FAST = {"o01": "intro_fit", "o02": "diagonal_fit", "o04": "poisson_fit"}
SLOW = ("o18", "o10", "o11", "o12", "o14", "o19", "o23", "o30", "o41", "o56", "o58")


@dataclasses.dataclass(frozen=True, eq=False)
class PostfitCase:
    """A reference case, our fit of it, and what is stored of R's results there (``p`` keeps R's names and order)."""

    name: str  # "o01"
    case: ReferenceCase
    fit: gj.MixedModelResults
    p: dict[str, Any]

    @property
    def fixed_order(self) -> list[int]:
        """Where R's fixed effects, in R's order, stand in ours."""
        return [self.case.fixed_names.index(self.case.r_names[name]) for name in self.p["parameters"]["betas"]]

    @property
    def zero_order(self) -> list[int]:
        """The same for the zero part."""
        factors = {name: [str(level) for level in self.case.data[name].cat.categories] for name in self.case.data.select_dtypes("category")}
        ours = self.fit.fitted_model.design.zi_fixed_names
        return [ours.index(name) for name in name_map(list(self.p["parameters"].get("gammas") or {}), factors).values()]

    def betas(self, stored: dict[str, float]) -> np.ndarray:
        """Fixed effects stored by R's names, in our order."""
        values = np.empty(len(stored))
        for name, value in stored.items():
            values[self.case.fixed_names.index(self.case.r_names[name])] = value
        return values

    @property
    def newdata(self) -> Any:
        """The rows of the stored ``newdata``: those of the clusters listed, in the order of the CSV."""
        labels = self.case.data[self.case.group].astype(str)
        return self.case.data[labels.isin([str(label) for label in self.p["newdata_clusters"]])]


@pytest.fixture(scope="session", params=[*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def postfit_case(request):
    """Every case in turn."""
    (path,) = FOLDER.glob(f"p_{request.param}_*_postfit.json")
    case, fixture = load_case(request.param), FAST.get(request.param)
    fit = request.getfixturevalue(fixture) if fixture else gj.mixed_model(**case.arguments)
    return PostfitCase(request.param, case, fit, json.loads(path.read_text(encoding="utf-8")))
