"""A fit as a model of the package marginaleffects: its averages and contrasts are those of our own methods."""

import numpy as np
import pytest

import glmmjax as gj
from glmmjax import marginaleffects_adapter
from glmmjax.errors import ArgumentError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("compile_quickly"),
    pytest.mark.filterwarnings("ignore:.*Polars 2.0:DeprecationWarning"),  # of marginaleffects' own calls
]


@pytest.fixture
def me():
    """The package, where it is installed with a version of polars that it works with."""
    polars = pytest.importorskip("polars")
    if int(polars.__version__.split(".")[0]) >= 2:
        pytest.skip("marginaleffects 0.6 does not work with polars 2 (is_in of a Float64 column)")
    return pytest.importorskip("marginaleffects")


@pytest.mark.parametrize("kind", ["marginal", "mean_subject"])
def test_averages_are_those_of_marginal_means(me, intro_fit, kind):
    found = me.avg_predictions(intro_fit.to_marginaleffects(kind), by="sex")
    own = intro_fit.marginal_means(by="sex", kind=kind)
    assert found["sex"].to_list() == list(own.index)
    np.testing.assert_allclose(found["estimate"], own["estimate"], rtol=1e-9)
    np.testing.assert_allclose(found["std_error"], own["std_error"], rtol=1e-4)


def test_contrasts_are_those_of_counterfactual_means(me, intro_fit, intro_binomial):
    model = intro_fit.to_marginaleffects()
    found = me.avg_comparisons(model, variables="sex")
    means = [intro_fit.marginal_means(intro_binomial.assign(sex=sex), average=True)["estimate"].iloc[0] for sex in ("female", "male")]
    assert found["contrast"].to_list() == ["female - male"]
    np.testing.assert_allclose(found["estimate"], means[0] - means[1], rtol=1e-8)
    robust = me.avg_comparisons(model, variables="sex", vcov="CR0")
    assert robust["std_error"][0] != pytest.approx(found["std_error"][0], rel=1e-3)


def test_slopes_are_differences_of_means(me, intro_fit, intro_binomial):
    found = me.avg_slopes(intro_fit.to_marginaleffects(), variables="time")
    step = 1e-3
    ends = [intro_fit.marginal_means(intro_binomial.assign(time=intro_binomial["time"] + d), average=True) for d in (-step, step)]
    expected = (ends[1]["estimate"].iloc[0] - ends[0]["estimate"].iloc[0]) / (2 * step)
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-3)


def test_predictions_of_a_grid(me, poisson_fit):
    model = poisson_fit.to_marginaleffects("mean_subject")
    found = me.predictions(model, newdata=me.datagrid(model=model, time=[0, 5], sex=["male", "female"]))
    own = poisson_fit.augment(found.select("time").to_pandas().assign(sex=found["sex"].to_list()))
    np.testing.assert_allclose(found["estimate"], own[".fixed"], rtol=1e-9)


def test_levels_of_an_ordinal_outcome_are_groups(me):
    data = gj.datasets.load_intro_poisson()
    data["grade"] = np.minimum(data["y"], 2)
    fit = gj.mixed_model("grade ~ time", random="~ 1 | id", data=data, family="cumulative")
    found = me.avg_predictions(fit.to_marginaleffects("mean_subject")).sort("group")
    assert found["group"].to_list() == ["0", "1", "2"]
    np.testing.assert_allclose(found["estimate"], fit.predict(scale="probability").mean(), rtol=1e-9)


def test_other_kinds_are_refused(me, intro_fit):
    with pytest.raises(ArgumentError, match="kind='subject_specific' is not known; choose one of 'mean_subject', 'marginal', 'zero_part'"):
        intro_fit.to_marginaleffects("subject_specific")
    with pytest.raises(ArgumentError, match="vcov='HC0' is not known; choose one of False"):
        intro_fit.to_marginaleffects().get_vcov("HC0")


def test_without_the_package_it_says_what_to_install(monkeypatch, intro_fit):
    monkeypatch.setitem(__import__("sys").modules, "marginaleffects.classes", None)
    marginaleffects_adapter._model_class.cache_clear()
    with pytest.raises(ArgumentError, match=r"needs the package marginaleffects: pip install 'glmmjax\[marginaleffects\]'"):
        intro_fit.to_marginaleffects()
