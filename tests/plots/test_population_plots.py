"""What effect plots draw: lines, bands, labels; and pictures that render."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import glmmjax as gj
from glmmjax.errors import ArgumentError
from tests.postfit.stated import stated_fit, stated_params

pytestmark = pytest.mark.usefixtures("compile_quickly")

TIMES = np.linspace(0.0, 15.0, 16)
GRID = {"time": TIMES, "sex": ["male", "female"]}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def ordinal_fit():
    """Three ratings, a random intercept."""
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "x": np.linspace(-1, 1, 24), "rating": np.tile([0, 1, 2], 8)})
    params = stated_params(np.array([0.8]), np.array([[1.2]]), phi=np.array([-0.5, 0.3]))
    return stated_fit(params, "rating ~ x", "~ 1 | id", data=data, family="cumulative")


def labelled(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_a_line_for_each_value_of_the_second_covariate(intro_fit, tmp_path):
    ax, found = intro_fit.plot_effects(GRID), intro_fit.effects(GRID)
    lines = labelled(ax)
    assert list(lines) == ["male", "female"]
    for sex, line in lines.items():
        np.testing.assert_allclose(line.get_xdata(), TIMES)
        np.testing.assert_allclose(line.get_ydata(), found.loc[found["sex"] == sex, "estimate"])
    assert lines["male"].get_linestyle() != lines["female"].get_linestyle()
    assert lines["male"].get_marker() != lines["female"].get_marker()
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_legend().get_title().get_text()) == ("time", "Pr(y = 1), random effects 0", "sex")
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    male = found[found["sex"] == "male"]
    np.testing.assert_allclose([band.min(), band.max()], [male["lower"].min(), male["upper"].max()])
    ax.figure.savefig(tmp_path / "effects.png")


def test_both_kinds_on_given_axes(intro_fit, tmp_path):
    given = pyplot.subplots()[1]
    ax = intro_fit.plot_effects(GRID, x="time", by="sex", kind=("mean_subject", "marginal"), scale="link", ax=given)
    assert ax is given
    assert ax.get_ylabel() == "logit of Pr(y = 1)"
    lines = labelled(ax)
    assert list(lines) == ["male, random effects 0", "male, population average", "female, random effects 0", "female, population average"]
    marginal = intro_fit.effects(GRID, kind="marginal", scale="link")
    np.testing.assert_allclose(
        lines["female, population average"].get_ydata(), marginal.loc[marginal["sex"] == "female", "estimate"], rtol=1e-12
    )
    ax.figure.savefig(tmp_path / "both.png")


def test_points_for_a_covariate_that_is_no_number(intro_fit, tmp_path):
    ax = intro_fit.plot_effects({"sex": ["male", "female"]}, scale="link")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["male", "female"]
    assert ax.get_ylabel() == "linear predictor, random effects 0"
    assert ax.get_legend() is None
    found = intro_fit.effects({"sex": ["male", "female"]}, scale="link")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), found["estimate"])
    ax.figure.savefig(tmp_path / "points.png")


def test_a_line_for_each_level_of_an_ordinal_outcome(ordinal_fit, tmp_path):
    grid = {"x": np.linspace(-1.0, 1.0, 9)}
    ax, found = ordinal_fit.plot_effects(grid, kind="marginal"), ordinal_fit.effects(grid, kind="marginal")
    lines = labelled(ax)
    assert list(lines) == ["0", "1", "2"]
    np.testing.assert_allclose(lines["1"].get_ydata(), found.loc[found["level"] == 1, "estimate"])
    np.testing.assert_allclose(sum(line.get_ydata() for line in lines.values()), 1.0)
    assert ax.get_ylabel() == "Pr(rating = level), population average"
    assert ax.get_legend().get_title().get_text() == "rating"
    assert len({line.get_linestyle() for line in lines.values()}) == 3
    ax.figure.savefig(tmp_path / "levels.png")


def test_categories_of_a_continuation_ratio_fit(tmp_path):
    """Predictors of the cohorts by ``effects``, category probabilities by ``cr_marg_probs``; over the population they are averages of
    those given b, because who reaches a later cohort is no sample of the population."""
    rng, n = np.random.default_rng(2), 120
    data = pd.DataFrame({"id": np.repeat(np.arange(30), 4), "x": rng.normal(size=n)})
    ratio = gj.cr_setup(rng.integers(0, 3, n))
    rows = data.iloc[ratio["row"]].reset_index(drop=True).assign(y=ratio["y"], cohort=ratio["cohort"])
    params = stated_params(np.array([-0.7, 0.5, 0.6]), np.array([[1.1]]))
    fit = stated_fit(params, "y ~ cohort + x", "~ 1 | id", data=rows, family="binomial")

    x = np.linspace(-2.0, 2.0, 9)
    cohorts = list(rows["cohort"].cat.categories)
    eta = fit.effects({"x": x, "cohort": cohorts}, scale="link")["estimate"].to_numpy().reshape(len(x), len(cohorts))
    subject = gj.cr_marg_probs(eta)
    z, w = np.polynomial.hermite_e.hermegauss(60)
    sd = float(fit.params.chol[0, 0])
    population = sum(weight * gj.cr_marg_probs(eta + sd * node) for node, weight in zip(z, w / w.sum(), strict=True))

    first = fit.marginal_means({"x": x, "cohort": cohorts[0]}, kind="marginal")["estimate"]  # of the first cohort, which everyone reaches
    np.testing.assert_allclose(population[0], first, rtol=1e-8)
    np.testing.assert_allclose(population.sum(axis=1), 1.0, rtol=1e-12)
    ax = pyplot.subplots()[1]
    for level, style in zip(subject.columns, ("-", "--", ":"), strict=True):
        ax.plot(x, subject[level], color="0.5", linestyle=style)
        ax.plot(x, population[level], color="black", linestyle=style, label=str(level))
    ax.figure.savefig(tmp_path / "categories.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": "age"}, "x='age' is no column of the rows"),
        ({"kind": ()}, "kind=\\(\\) is not known; choose one of"),
        (
            {"x": "time", "by": "sex", "newdata": pd.DataFrame({"time": [1.0, 1.0], "sex": ["male", "male"], "centre": [1, 2]})},
            "the same 'time'",
        ),
    ],
)
def test_refusals(intro_fit, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        intro_fit.plot_effects(**{"newdata": GRID, **arguments})


def test_levels_are_the_lines_of_an_ordinal_outcome(ordinal_fit):
    with pytest.raises(ArgumentError, match="the lines of an ordinal outcome are its levels"):
        ordinal_fit.plot_effects({"x": [0.0, 1.0]}, by="x")


def test_names_make_the_grid(intro_fit, intro_binomial):
    """The range of the covariate along the axis, all levels of the other, and a rug of the rows fitted."""
    ax = intro_fit.plot_effects("time", by="sex", kind="marginal")
    lines, times = labelled(ax), intro_binomial["time"]
    assert set(lines) == {"male", "female"}
    x = lines["male"].get_xdata()
    assert (len(x), x[0], x[-1]) == (50, times.min(), times.max())
    expected = intro_fit.effects({"time": x, "sex": ["male"]}, kind="marginal")["estimate"]
    np.testing.assert_allclose(lines["male"].get_ydata(), expected, rtol=1e-12)
    assert ax.get_ylabel() == "Pr(y = 1), population average"
    (rug,) = [line for line in ax.lines if line.get_label() == "_rug"]
    np.testing.assert_array_equal(rug.get_xdata(), np.unique(times))
    assert not [line for line in intro_fit.plot_effects("time", rug=False).lines if line.get_label() == "_rug"]
    by_time = intro_fit.plot_effects("sex", by="time")
    assert [text.get_text() for text in by_time.get_legend().get_texts()] == [
        f"{q}" for q in np.quantile(times, (0.25, 0.5, 0.75)).round(6)
    ]


@pytest.mark.parametrize(
    ("fixed", "has_levels"),
    [
        ("y ~ factor(visit)", True),
        ("y ~ C(visit, Treatment(1)) * x", True),
        ("y ~ x + factor(visit) + visit:x", False),
        ("y ~ visit", False),
        ("y ~ factor(other) + visit", False),
    ],
)
def test_numbers_inside_factor_are_levels(as_if_fitted, fixed, has_levels):
    """Nothing lies between visits 1 and 2 that the formula has as levels."""
    frame = pd.DataFrame({"y": [0.0, 1.0, 0.5, 0.2] * 7, "visit": [1, 2, 3, 4] * 7, "x": np.sin(np.arange(28.0)), "other": [1, 2] * 14})
    fit = as_if_fitted(fixed, data=frame, family="gaussian")
    ax = fit.plot_effects("visit")
    lines = [line for line in ax.lines if line.get_linestyle() != "None"]
    assert bool(lines) != has_levels
    texts = [label.get_text() for label in ax.get_xticklabels()]
    assert (texts == ["1", "2", "3", "4"]) == has_levels
    rug = [line for line in ax.lines if line.get_label() == "_rug"]
    assert bool(rug) != has_levels


def test_a_number_inside_factor_is_held_at_a_level(as_if_fitted):
    """Its mean is none."""
    frame = pd.DataFrame({"y": [0.0, 1.0, 0.5] * 8, "dose": [1, 2, 2] * 8, "x": np.sin(np.arange(24.0))})
    fit = as_if_fitted("y ~ factor(dose) * x", data=frame, family="gaussian")
    np.testing.assert_array_equal(fit.effects({"x": [0.0, 1.0]})["estimate"], fit.effects({"x": [0.0, 1.0], "dose": [2]})["estimate"])


def test_a_panel_for_each_value(intro_fit, tmp_path):
    panels = intro_fit.plot_effects("time", facets="sex", kind=("mean_subject", "marginal"))
    assert {panel.get_title() for panel in panels} == {"sex: male", "sex: female"}
    assert panels[0].get_ylabel() == "Pr(y = 1)"
    assert panels[0].get_ylim() == panels[1].get_ylim()
    for panel in panels:
        found = intro_fit.effects({"time": panel.lines[0].get_xdata(), "sex": panel.get_title().removeprefix("sex: ")})
        np.testing.assert_allclose(panel.lines[0].get_ydata(), found["estimate"], rtol=1e-12)
    assert [text.get_text() for text in panels[-1].get_legend().get_texts()] == ["random effects 0", "population average"]
    panels[0].figure.savefig(tmp_path / "facets.png")
    with pytest.raises(ArgumentError, match="makes Axes of its own"):
        intro_fit.plot_effects("time", facets="sex", ax=pyplot.subplots()[1])
    with pytest.raises(ArgumentError, match="did you mean 'time'"):
        intro_fit.plot_effects("tim")
    with pytest.raises(ArgumentError, match="give one of the two"):
        intro_fit.plot_effects("time", x="sex")


def test_axes_name_the_outcome():
    """The event of a two-level outcome, the successes of two columns, a structural zero."""
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "x": np.linspace(-1, 1, 24), "n": 2, "s": np.tile([0, 1, 2], 8)})
    data["infected"] = np.where(data["s"] > 0, "yes", "no")
    params = stated_params(np.array([0.3, 0.2]), np.array([[0.5]]))
    labels = []
    for fixed, family in (("infected ~ x", "binomial"), ("cbind(s, n - s) ~ x", "binomial"), ("s ~ x", "poisson")):
        labels.append(stated_fit(params, fixed, "~ 1 | id", data=data, family=family).plot_effects("x").get_ylabel())
    assert labels == ["Pr(infected = yes), random effects 0", "Pr(s), random effects 0", "mean of s, random effects 0"]
    zeros = stated_params(np.array([0.3, 0.2]), np.array([[0.5]]), gamma=np.array([-0.4]))
    fit = stated_fit(zeros, "s ~ x", "~ 1 | id", data=data, family="zero_inflated_poisson", zi_fixed="~ 1")
    assert fit.plot_effects("x", kind="zero_part").get_ylabel() == "Pr(s is a structural zero), random effects 0"


def test_the_zero_part_has_axes_of_its_own_beside_means(tmp_path):
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "x": np.tile([0.0, 1.0, 2.0], 8), "y": np.tile([0, 1, 2], 8)})
    params = stated_params(np.array([0.3, 0.2]), np.array([[0.6]]), gamma=np.array([-0.5, 0.4]))
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=data, family="zero_inflated_poisson", zi_fixed="~ x")
    means, zeros = fit.plot_effects("x", kind=("mean_subject", "marginal", "zero_part"))
    assert means.get_ylabel() == "mean of y"
    assert zeros.get_ylabel() == "Pr(y is a structural zero), random effects 0"
    assert [text.get_text() for text in means.get_legend().get_texts()] == ["random effects 0", "population average"]
    assert zeros.get_legend() is None
    (line,) = [line for line in zeros.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(line.get_ydata(), 1 / (1 + np.exp(0.5 - 0.4 * line.get_xdata())))
    means.figure.savefig(tmp_path / "parts.png")
    for wrong in ({"ax": means}, {"facets": "x"}):
        with pytest.raises(ArgumentError, match=f"two Axes of its own; leave out {next(iter(wrong))}, or draw one kind"):
            fit.plot_effects({"x": [0.0, 1.0]}, kind=("mean_subject", "zero_part"), **wrong)
    fit.plot_effects({"x": [0.0, 1.0]}, kind="zero_part", ax=means)  # as the message says
