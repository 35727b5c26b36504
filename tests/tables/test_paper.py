"""The members that maketables looks for: their form by its rules, their numbers by other methods of the fit."""

import numpy as np
import pandas as pd
import pytest


def test_coefficients(intro_fit):
    frame = intro_fit.__maketables_coef_table__
    assert frame.index.name == "Coefficient"
    assert list(frame.columns) == ["b", "se", "t", "p", "ci95l", "ci95u"]
    p = len(intro_fit.fe_params)
    np.testing.assert_array_equal(frame["b"][:p], intro_fit.fe_params)
    np.testing.assert_array_equal(frame["se"][:p], intro_fit.bse_fe)
    np.testing.assert_array_equal(frame["p"][:p], intro_fit.pvalues)
    np.testing.assert_allclose(frame[["b", "ci95l", "ci95u"]], intro_fit.conf_int("all"), rtol=1e-12)
    assert list(frame.index[p:]) == ["sd(Intercept)"]
    assert frame["p"][p:].isna().all()


def test_parts_of_a_model_are_told_apart(as_if_fitted):
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.poisson(1.0, 60), "x": rng.normal(size=60), "id": np.repeat(np.arange(12), 5)})
    fit = as_if_fitted("y ~ x", random="~ x | id", data=data, family="zero_inflated_negative_binomial", zi_fixed="~ x", dispersion="~ x")
    names = list(fit.__maketables_coef_table__.index)
    assert names[:2] == ["Intercept", "x"]
    assert {"zi: Intercept", "zi: x", "dispersion: x", "sd(x)", "corr(Intercept, x)"} <= set(names)
    assert len(set(names)) == len(names)
    assert fit.__maketables_stat__("r2") is None  # the family has none


def test_statistics(intro_fit):
    labels, defaults = intro_fit.__maketables_stat_labels__, intro_fit.__maketables_default_stat_keys__
    assert isinstance(defaults, list)
    assert set(defaults) <= set(labels)
    found = {key: intro_fit.__maketables_stat__(key) for key in labels}
    assert None not in found.values()
    expected = {"N": intro_fit.nobs, "n_clusters": intro_fit.n_groups, "ll": intro_fit.llf, "aic": intro_fit.aic, "bic": intro_fit.bic}
    assert expected.items() <= found.items()
    assert (found["r2"], found["r2_conditional"], found["icc"]) == (*intro_fit.r2(), intro_fit.icc()["adjusted"])
    assert intro_fit.__maketables_stat__("adj_r2") is None
    assert intro_fit.__maketables_depvar__ == "y"


def test_without_random_effects(no_effects_fit):
    assert no_effects_fit.__maketables_stat__("n_clusters") is None
    assert no_effects_fit.__maketables_stat__("icc") is None
    assert list(no_effects_fit.__maketables_coef_table__.index) == list(no_effects_fit.fe_params.index)


def test_the_members_stay_out_of_the_way(intro_fit):
    assert not [name for name in dir(intro_fit) if "maketables" in name and not name.startswith("__")]


def test_a_table_of_maketables(intro_fit, no_effects_fit):
    maketables = pytest.importorskip("maketables")
    text = maketables.ETable([no_effects_fit, intro_fit]).make(type="tex")
    for part in (
        "sd(Intercept)",
        f"{intro_fit.fe_params['time']:.3f}***",
        f"{intro_fit.bse_fe['time']:.3f}",
        "Clusters",
        f"{intro_fit.llf:.3f}",
    ):
        assert part in text, part
