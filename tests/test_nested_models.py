"""Fits of two levels of random effects: against direct integration, lme4, and what their methods promise."""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.special

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError, FormulaError
from glmmjax.postfit.refitting.bootstrap import simulated_outcomes

N_SCHOOLS, N_CLASSES, N_PUPILS = 30, 4, 5


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(6)
    n = N_SCHOOLS * N_CLASSES * N_PUPILS
    school, class_ = np.repeat(np.arange(N_SCHOOLS), n // N_SCHOOLS), np.tile(np.repeat(np.arange(N_CLASSES), N_PUPILS), N_SCHOOLS)
    x = rng.normal(size=n)
    eta = 0.3 + 0.5 * x + rng.normal(size=N_SCHOOLS)[school] + 0.7 * rng.normal(size=(N_SCHOOLS, N_CLASSES))[school, class_]
    y = (rng.uniform(size=n) < scipy.special.expit(eta)).astype(int)
    frame = pd.DataFrame({"y": y, "x": x, "school": school, "class": [f"c{k}" for k in class_]})
    return frame[rng.uniform(size=n) < 0.8].reset_index(drop=True)


@pytest.fixture(scope="module")
def fit(data):
    return gj.mixed_model("y ~ x", random="~ 1 | school/class", data=data, family="binomial")


def deviations(fit) -> tuple[float, float]:
    """Standard deviations between schools and between classes of a school."""
    upper, lower = fit.cov_re.values()
    return float(np.sqrt(upper.iloc[0, 0])), float(np.sqrt(lower.iloc[0, 0]))


def direct_integral(y, eta, upper, lower, of_upper: float, of_lower: float) -> float:
    """Log-likelihood of 0/1 outcomes by trapezoidal sums over both levels, written in NumPy without anything of the package."""
    z = np.linspace(-8.0, 8.0, 161)
    log_w = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) + np.log(z[1] - z[0])
    sign = np.where(y, 1.0, -1.0)
    pairs = pd.Series(range(len(y))).groupby([np.asarray(upper), np.asarray(lower)]).indices
    at: dict[object, np.ndarray] = {}
    for (group, _), rows in pairs.items():
        predictor = eta[rows][:, None, None] + of_upper * z[:, None] + of_lower * z
        inner = -np.logaddexp(0.0, -sign[rows][:, None, None] * predictor).sum(0)
        at[group] = at.get(group, log_w) + scipy.special.logsumexp(inner + log_w, axis=1)
    return float(sum(scipy.special.logsumexp(values) for values in at.values()))


def test_the_log_likelihood_is_the_integral(fit, data):
    eta = fit.predict(kind="mean_subject", scale="link").to_numpy()
    expected = direct_integral(data["y"].to_numpy(), eta, data["school"], data["class"], *deviations(fit))
    assert fit.llf == pytest.approx(expected, abs=1e-6)
    assert fit.converged
    assert abs(fit.convergence.quadrature_error) < 1e-6


def test_ways_to_write_two_levels(fit, data):
    for fixed, random in (
        ("y ~ x + (1 | school/class)", None),
        ("y ~ x + (1 | school) + (1 | school:class)", None),
        ("y ~ x + (1 | class:school) + (1 | school)", None),
        ("y ~ x", "~ (1 | school) + (1 | school:class)"),
    ):
        assert gj.mixed_model(fixed, random=random, data=data, family="binomial").llf == pytest.approx(fit.llf, abs=1e-9)


@pytest.mark.slow
def test_the_pure_layer_fits_the_same(fit, data):
    with jax.enable_x64(True):
        design = gj.make_design("y ~ x", random="~ 1 | school/class", data=data, family="binomial")
        params, info = gj.fit_params(design.clusters, "binomial")
        assert float(info.log_likelihood) == pytest.approx(fit.llf, abs=1e-7)
        np.testing.assert_allclose(params.beta, fit.fe_params, atol=1e-4)
        assert float(gj.log_likelihood(fit.params, design.clusters, "binomial", fit.fitted_model.n_agq)) == pytest.approx(fit.llf, abs=1e-9)


def test_random_effects_of_both_levels_are_the_joint_mode(fit, data):
    schools, classes = fit.random_effects["school"], fit.random_effects["school:class"]
    assert list(schools.index) == list(data["school"].unique())
    assert classes.index.names == ["school", "class"]
    assert len(classes) == data.groupby(["school", "class"]).ngroups
    of_school, of_class = deviations(fit)
    label = data["school"].iloc[0]
    rows = data[data["school"] == label]
    own = classes.loc[label, "Intercept"]
    x, y = fit.predict(kind="mean_subject", scale="link").to_numpy()[rows.index], rows["y"].to_numpy()

    def slope(b, c):
        residual = y - scipy.special.expit(x + b + c[rows["class"]].to_numpy())
        return residual.sum() - b / of_school**2, pd.Series(residual).groupby(rows["class"].to_numpy()).sum() - c / of_class**2

    of_b, of_c = slope(schools.loc[label, "Intercept"], own)
    assert abs(of_b) < 1e-6
    assert np.abs(of_c).max() < 1e-6


def test_standard_errors_of_random_effects_are_those_of_the_inverse_of_the_whole_hessian(fit, data):
    label = data["school"].iloc[0]
    rows = data[data["school"] == label]
    p = fit.predict(kind="subject_specific").to_numpy()[rows.index]
    classes = rows["class"].unique()
    columns = np.column_stack([np.ones(len(rows)), *(rows["class"] == name for name in classes)])
    of_school, of_class = deviations(fit)
    hessian = columns.T @ (columns * (p * (1.0 - p))[:, None]) + np.diag([of_school**-2, *[of_class**-2] * len(classes)])
    expected = np.sqrt(np.diagonal(np.linalg.inv(hessian)))
    table = fit.random_effects_table()
    assert table.loc[("school", label, "", "Intercept"), "std_error"] == pytest.approx(expected[0], rel=1e-8)
    found = [table.loc[("school:class", label, name, "Intercept"), "std_error"] for name in classes]
    np.testing.assert_allclose(found, expected[1:], rtol=1e-8)
    np.testing.assert_allclose(fit.random_effects_cov["school"].loc[label], expected[0] ** 2, rtol=1e-8)


def test_predictions_at_both_levels(fit, data):
    schools, classes = fit.random_effects["school"]["Intercept"], fit.random_effects["school:class"]["Intercept"]
    rows = data.sample(20, random_state=1)
    effects = schools[rows["school"]].to_numpy() + classes[pd.MultiIndex.from_frame(rows[["school", "class"]])].to_numpy()
    fixed = fit.predict(rows, kind="mean_subject", scale="link")
    np.testing.assert_allclose(fit.predict(rows, kind="subject_specific", scale="link"), fixed + effects, atol=1e-12)
    np.testing.assert_allclose(fit.fitted("subject_specific").loc[rows.index], fit.predict(rows, kind="subject_specific"), atol=1e-12)
    z, w = np.polynomial.hermite_e.hermegauss(60)
    spread = np.hypot(*deviations(fit))
    averaged = scipy.special.expit(fixed.to_numpy()[:, None] + spread * z) @ (w / w.sum())
    np.testing.assert_allclose(fit.predict(rows, kind="marginal"), averaged, atol=1e-8)
    np.testing.assert_allclose(fit.icc()["adjusted"], spread**2 / (spread**2 + np.pi**2 / 3.0), rtol=1e-9)
    np.testing.assert_allclose(fit.icc()["school"], deviations(fit)[0] ** 2 / (spread**2 + np.pi**2 / 3.0), rtol=1e-9)


def _covariances(values: np.ndarray, data: pd.DataFrame) -> tuple[float, float]:
    """Mean products of two rows of a class, and of two rows of a school in different classes."""
    school, both = data["school"].to_numpy(), data["school"].astype(str) + data["class"]
    same_school, same_class = school[:, None] == school, both.to_numpy()[:, None] == both.to_numpy()
    products = values @ values.T / values.shape[1]
    return products[same_class & ~np.eye(len(data), dtype=bool)].mean(), products[same_school & ~same_class].mean()


@pytest.mark.slow
def test_drawn_outcomes_have_the_variances_of_both_levels(data):
    rng = np.random.default_rng(4)
    noisy = data.assign(y=data["y"] + rng.normal(size=len(data)))
    fit = gj.mixed_model("y ~ 1", random="~ 1 | school/class", data=noisy, family="gaussian", n_agq=1)
    of_school, of_class = np.square(deviations(fit))
    simulated = fit.simulate(400, seed=2).to_numpy() - fit.fe_params.iloc[0]
    design = fit.fitted_model.design
    with jax.enable_x64(True):
        draw = simulated_outcomes(fit.fitted_model, seed=2)
        drawn = [np.concatenate([np.asarray(y).ravel() for y in draw(r)])[design.order.row_slots] for r in range(400)]
    for values in (simulated, np.array(drawn).T - fit.fe_params.iloc[0]):
        within, between = _covariances(values, noisy)
        assert between == pytest.approx(of_school, rel=0.1)
        assert within == pytest.approx(of_school + of_class, rel=0.1)


def test_new_schools_are_simulated_and_known_ones_keep_their_modes(fit, data):
    new = data.head(40).assign(school=lambda d: d["school"] + 1000)
    assert set(np.unique(fit.simulate(3, newdata=new, seed=1))) <= {0.0, 1.0}
    at_modes = fit.simulate(4000, new_random_effects="mode", seed=1).mean(axis=1)
    np.testing.assert_allclose(at_modes, fit.fitted("subject_specific"), atol=0.04)


def test_a_saved_fit_is_the_same_fit(fit, tmp_path):
    fit.save(tmp_path / "fit.glmm")
    again = gj.load(tmp_path / "fit.glmm")
    assert again.llf == fit.llf
    for level, table in fit.random_effects.items():
        pd.testing.assert_frame_equal(again.random_effects[level], table)
    assert str(again.summary()) == str(fit.summary())


def test_tables_name_the_level(fit):
    text = str(fit.summary())
    assert "(school, " in text
    assert "Number of Groups inside: " in text
    assert "Intercept | school:class" in text
    assert list(fit.tidy(effects="ran_pars")["group"]) == ["school", "school:class"]
    values = fit.tidy(effects="ran_vals", conf_int=True)
    assert list(values["group"].unique()) == ["school", "school:class"]
    assert len(values) == sum(map(len, fit.random_effects.values()))
    axes, n_classes = fit.plot_random_effects("Intercept | school:class"), len(fit.random_effects["school:class"])
    assert axes.get_xlabel().startswith(f"{n_classes} clusters (school:class)")


def test_the_variance_between_schools_is_tested_at_its_boundary(fit, data):
    one = gj.mixed_model("y ~ x", random="~ 1 | school", data=data, family="binomial")
    found = gj.anova(one, fit, boundary=True)
    statistic = 2.0 * (fit.llf - one.llf)
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(0.5 * scipy.special.chdtrc(1, statistic))


REFUSED = {
    "an interval at both levels": lambda fit, data: fit.predict(data.head(3), kind="subject_specific", interval=0.95),
    "a history": lambda fit, data: fit.predict(data.head(3), data.tail(3), kind="subject_specific"),
    "posterior means": lambda fit, data: fit.random_effects_table(kind="mean"),
    "posterior draws": lambda fit, data: fit.simulate(2, new_random_effects="posterior"),
    "permutations": lambda fit, data: gj.permutation_test(fit, "x", 9),
    "power": lambda fit, data: gj.power(fit, {"x": 0.5}, n_sim=2),
    "a predictor": lambda fit, data: fit.export_predictor("never.glmmpred"),
    "batches": lambda fit, data: next(gj.cluster_batches(fit.fitted_model.design, 4, jax.random.key(1))),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_needs_one_level_says_so(fit, data, what):
    with pytest.raises(ArgumentError, match=r"needs one level of random effects, and this model has two, school and school:class\. Pred"):
        REFUSED[what](fit, data)
    assert len(fit.predict(data.head(3), kind="subject_specific")) == 3  # as the message says


def test_an_unknown_class_is_named(fit, data):
    with pytest.raises(ArgumentError, match=r"1 clusters school:class that the fit does not know, the first 0:'new'"):
        fit.predict(data.head(1).assign(**{"class": "new"}), kind="subject_specific")


def test_a_fit_for_each_level_of_a_column_has_one_level_of_effects(data):
    with pytest.raises(ArgumentError, match=r"by='part' is for one level of random effects.*fit each level of 'part' with mixed_model"):
        gj.fit_many("y ~ x", "~ 1 | school/class", data=data.assign(part=1), by="part", family="binomial")


@pytest.mark.slow
def test_many_outcomes_are_fitted_as_single_ones(fit, data):
    outcomes = np.column_stack([data["y"], 1 - data["y"]])
    many = gj.fit_many("~ x", "~ 1 | school/class", data=data, outcomes=outcomes, family="binomial")
    assert many.converged.all()
    np.testing.assert_allclose(many.llf, fit.llf, atol=2e-6)
    np.testing.assert_allclose(many.fe_params.to_numpy(), np.outer([1.0, -1.0], fit.fe_params), atol=1e-3)
    np.testing.assert_allclose(many[0].cov_re["school"], fit.cov_re["school"], rtol=1e-3)


@pytest.mark.slow
def test_a_fold_is_scored_by_a_fit_without_it(fit, data):
    found = gj.cross_validate(fit, folds=3, seed=1)
    held = found.folds.index[found.folds == found.folds.iloc[0]]
    rest = fit.update(data=data[~data["school"].isin(held)], n_agq=fit.fitted_model.n_agq)
    with jax.enable_x64(True):
        design = gj.make_design("y ~ x", random="~ 1 | school/class", data=data[data["school"].isin(held)], family="binomial")
        values = gj.cluster_log_likelihoods(rest.params, design.clusters, "binomial", rest.fitted_model.n_agq)
    expected = pd.Series(np.asarray(values), index=design.groups)[held]
    np.testing.assert_allclose(found.log_scores.loc[held].iloc[:, 0], expected, atol=2e-4)


def test_a_class_in_each_school_is_no_second_level(data):
    with pytest.raises(DesignError, match=r"each school has one only only.*keep one level, \| school"):
        gj.mixed_model("y ~ x", "~ 1 | school/only", data=data.assign(only=1), family="binomial")


def test_the_dot_stands_for_no_cluster_variable(data):
    fit = gj.mixed_model("y ~ .", "~ 1 | school/class", data=data, family="binomial")
    assert list(fit.fe_params.index) == ["Intercept", "x"]


def test_a_stream_has_one_level(data):
    with pytest.raises(FormulaError, match=r"several grouping factors, which a stream cannot have.*keep one factor, \| school"):
        gj.mixed_model("y ~ x", random="~ 1 | school/class", data=gj.stream(lambda: iter([data])), family="binomial")


@pytest.mark.slow
def test_rules_are_refined_until_they_settle():
    rng = np.random.default_rng(14)
    school, class_, x = np.repeat(np.arange(20), 16), np.tile(np.repeat(np.arange(8), 2), 20), rng.normal(size=320)
    y = rng.poisson(np.exp(0.3 + 0.5 * x + 2.0 * rng.normal(size=(20, 8))[school, class_]))
    frame = pd.DataFrame({"y": y, "x": x, "school": school, "class": class_})
    coarse = gj.mixed_model("y ~ x", "~ 1 | school/class", data=frame, family="poisson", n_agq=5, options=gj.Options(quadrature_limit=1.0))
    assert abs(coarse.convergence.quadrature_error) > 1e-2
    fit = gj.mixed_model("y ~ x", "~ 1 | school/class", data=frame, family="poisson", options=gj.Options(quadrature_tolerance=1e-7))
    assert fit.converged
    assert fit.fitted_model.n_agq > 25
    assert abs(fit.convergence.quadrature_error) < 1e-7


@pytest.mark.slow
def test_zero_parts_have_effects_of_the_lower_level():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"school": np.repeat(np.arange(40), 20), "class": np.tile(np.repeat(np.arange(5), 4), 40)})
    b = 0.6 * rng.normal(size=40)[frame["school"]] + 0.5 * rng.normal(size=(40, 5))[frame["school"], frame["class"]]
    zero = rng.uniform(size=len(frame)) < scipy.special.expit(-0.5 + 1.0 * rng.normal(size=(40, 5))[frame["school"], frame["class"]])
    frame["y"] = np.where(zero, 0, rng.poisson(np.exp(1.2 + b)))
    fit = gj.mixed_model(
        "y ~ 1", "~ 1 | school/class", data=frame, family="zero_inflated_poisson", zi_fixed="~ 1", zi_random="~ 1 | school:class"
    )
    assert fit.converged
    assert list(fit.cov_re["school:class"].columns) == ["Intercept", "zi_Intercept"]
    assert fit.cov_re["school"].iloc[0, 0] == pytest.approx(0.36, abs=0.25)
    assert fit.cov_re["school:class"].iloc[1, 1] == pytest.approx(1.0, abs=0.8)


@pytest.mark.slow
def test_children_of_mothers_in_communities():
    """Rodriguez and Goldman (2001): -1323.96, standard deviations 2.32 and 1.02 by 12 points, which are not settled; Laplace by lme4."""
    data = gj.datasets.load_immunisation()
    formula = "immun ~ kid2p + mom25p + ord + ethn + momEd + husEd + momWork + rural + pcInd81"
    laplace = gj.mixed_model(formula, "~ 1 | comm/mom", data=data, family="binomial", n_agq=1)
    # lme4 1.1-31, glmer(..., (1 | comm/mom)), bobyqa: it stops 1e-4 below the maximum of the same approximation
    assert -1355.70099656 <= laplace.llf < -1355.7005
    np.testing.assert_allclose(deviations(laplace), [0.72107, 1.13482], atol=2e-4)
    fit = gj.mixed_model(formula, "~ 1 | comm/mom", data=data, family="binomial")
    assert fit.converged
    eta = fit.predict(kind="mean_subject", scale="link").to_numpy()
    expected = direct_integral((data["immun"] == "Y").to_numpy(), eta, data["comm"], data["mom"], *deviations(fit))
    assert fit.llf == pytest.approx(expected, abs=2e-5)  # its own error says 1.2e-5
    assert fit.llf == pytest.approx(-1323.962, abs=0.011)
    np.testing.assert_allclose(deviations(fit), [1.02, 2.32], atol=6e-3)
    assert fit.fe_params["Intercept"] == pytest.approx(-1.233, abs=5e-3)
