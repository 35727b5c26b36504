"""Fits of crossed factors: against dense algebra, published estimates, and what their methods promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, ConvergenceWarning, DesignError, DesignWarning, FormulaError
from glmmjax.estimation.convergence import Code

N_PERSONS, N_ITEMS = 40, 12
RANDOM = "(1 | person) + (1 | item)"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    person, item = (a.ravel() for a in np.meshgrid(np.arange(N_PERSONS), np.arange(N_ITEMS), indexing="ij"))
    x = rng.normal(size=len(person))
    eta = 0.3 + 0.5 * x + rng.normal(size=N_PERSONS)[person] + 0.7 * rng.normal(size=N_ITEMS)[item]
    y = (rng.uniform(size=len(x)) < scipy.special.expit(eta)).astype(int)
    frame = pd.DataFrame({"y": y, "x": x, "person": person, "item": [f"i{k}" for k in item]})
    return frame[rng.uniform(size=len(x)) < 0.8].reset_index(drop=True)


@pytest.fixture(scope="module")
def fit(data):
    return gj.mixed_model("y ~ x", RANDOM, data=data, family="binomial")


def dense_laplace(data, eta, of_person: float, of_item: float) -> tuple[float, np.ndarray]:
    """Laplace's log-likelihood of 0/1 outcomes and the mode, in NumPy, with one dense matrix of all levels."""
    person, item = (pd.get_dummies(data[name]).to_numpy(float) for name in ("person", "item"))
    z = np.column_stack([of_person * person, of_item * item])
    y, u = data["y"].to_numpy(float), np.zeros(z.shape[1])
    for _ in range(50):
        mean = scipy.special.expit(eta + z @ u)
        h = np.eye(len(u)) + z.T @ (mean * (1.0 - mean) * z.T).T
        u = u + np.linalg.solve(h, z.T @ (y - mean) - u)
    predictor = eta + z @ u
    value = (y * predictor - np.logaddexp(0.0, predictor)).sum() - 0.5 * u @ u
    return float(value - 0.5 * np.linalg.slogdet(h)[1]), u


def test_the_log_likelihood_is_laplaces(fit, data):
    of_person, of_item = (float(np.sqrt(d.iloc[0, 0])) for d in fit.cov_re.values())
    eta = fit.predict(kind="mean_subject", scale="link").to_numpy()
    expected, u = dense_laplace(data, eta, of_person, of_item)
    assert fit.llf == pytest.approx(expected, abs=1e-8)
    assert fit.converged
    levels = np.sort(data["person"].unique())
    np.testing.assert_allclose(fit.random_effects["person"].loc[levels, "Intercept"], of_person * u[: len(levels)], atol=1e-7)


def test_no_other_point_is_higher(fit, data):
    rng = np.random.default_rng(0)
    design = gj.make_design("y ~ x", RANDOM, data=data, family="binomial")
    with jax.enable_x64(True):
        for _ in range(10):
            moved = jax.tree.map(lambda leaf: np.asarray(leaf) + 0.05 * rng.normal(size=np.shape(leaf)), fit.params)
            moved = moved._replace(chol=np.diag(np.diag(moved.chol)))
            assert float(gj.log_likelihood(moved, design.clusters, "binomial", n_agq=1)) < fit.llf


def test_a_factor_without_variance_leaves_the_model_of_the_other(data):
    """One level: a crossed factor whose effects are all zero adds nothing to Laplace's value of the other."""
    with jax.enable_x64(True):
        both = gj.make_design("y ~ x", RANDOM, data=data, family="binomial")
        one = gj.make_design("y ~ x", "~ 1 | person", data=data, family="binomial")
        crossed = gj.Params(jnp.array([0.2, 0.4]), jnp.diag(jnp.array([1.1, 0.0])))
        alone = gj.Params(jnp.array([0.2, 0.4]), jnp.array([[1.1]]))
        values = [
            float(gj.log_likelihood(params, design.clusters, "binomial", n_agq=1)) for params, design in ((crossed, both), (alone, one))
        ]
    assert values[0] == pytest.approx(values[1], abs=1e-9)


def test_the_error_of_laplace_is_that_of_quadrature_where_a_factor_has_no_variance(data):
    """The importance sample integrates persons by quadrature: with items that hardly vary it gives the one-level log-likelihood."""
    same = data.assign(y=(data["person"] * 7 + data.index * 3) % 5 < 2)  # no item effect
    fit = gj.mixed_model("y ~ x", RANDOM, data=same, family="binomial")
    alone = gj.mixed_model("y ~ x", "~ 1 | person", data=same, family="binomial")
    of_item = float(np.sqrt(fit.cov_re["item"].iloc[0, 0]))
    assert of_item < 0.05
    error = fit.convergence.laplace_error
    assert error is not None
    assert fit.llf + error.value == pytest.approx(alone.llf, abs=1e-3 + 4 * error.std_error)


def test_predictions_of_known_and_new_levels(fit, data):
    rows = pd.DataFrame({"x": [0.5, 0.5, 0.5], "person": [3, 3, 999], "item": ["i2", "new", "new"]})
    found = fit.predict(newdata=rows, kind="subject_specific", scale="link").to_numpy()
    base = fit.fe_params["Intercept"] + 0.5 * fit.fe_params["x"]
    of_person, of_item = fit.random_effects["person"].loc[3].item(), fit.random_effects["item"].loc["i2"].item()
    np.testing.assert_allclose(found, [base + of_person + of_item, base + of_person, base], rtol=1e-12)
    own = fit.predict(kind="subject_specific", scale="link").to_numpy()
    effects = (
        fit.random_effects["person"].loc[data["person"], "Intercept"].to_numpy()
        + fit.random_effects["item"].loc[data["item"], "Intercept"].to_numpy()
    )
    np.testing.assert_allclose(own, fit.fe_params["Intercept"] + fit.fe_params["x"] * data["x"] + effects, rtol=1e-10)


def test_standard_errors_of_random_effects_are_those_of_the_whole_curvature(fit, data):
    of_person, of_item = (float(np.sqrt(d.iloc[0, 0])) for d in fit.cov_re.values())
    eta = fit.predict(kind="subject_specific", scale="link").to_numpy()
    person, item = (pd.get_dummies(data[name]) for name in ("person", "item"))
    z = np.column_stack([of_person * person.to_numpy(float), of_item * item.to_numpy(float)])
    mean = scipy.special.expit(eta)
    inverse = np.linalg.inv(np.eye(z.shape[1]) + z.T @ ((mean * (1.0 - mean))[:, None] * z))
    errors = np.sqrt(np.diag(inverse)) * np.repeat([of_person, of_item], [person.shape[1], item.shape[1]])
    table = fit.random_effects_table()["std_error"]
    np.testing.assert_allclose(table.loc["person"].droplevel("effect").loc[person.columns], errors[: person.shape[1]], rtol=1e-6)
    np.testing.assert_allclose(table.loc["item"].droplevel("effect").loc[item.columns], errors[person.shape[1] :], rtol=1e-6)


def test_the_page_names_the_factors_and_the_error(fit):
    text = str(fit.summary())
    assert f"Number of Levels: {N_PERSONS} (person" in text
    assert f"Number of Levels: {N_ITEMS} (item" in text
    assert "Laplace's method for the random effects of all levels together" in text
    assert "error of Laplace's method:" in text


@pytest.fixture(scope="module")
def normal(data):
    rng = np.random.default_rng(8)
    of_item = dict(zip(sorted(data["item"].unique()), 0.8 * rng.normal(size=N_ITEMS), strict=True))
    y = 1.0 + 0.6 * rng.normal(size=N_PERSONS)[data["person"]] + data["item"].map(of_item) + 0.5 * rng.normal(size=len(data))
    return gj.mixed_model("y ~ x", RANDOM, data=data.assign(y=y), family="gaussian")


def test_normal_outcomes_in_closed_form(normal, data):
    """Laplace's method is exact for them: the outcomes are normal with a known covariance."""
    of_person, of_item = (float(d.iloc[0, 0]) for d in normal.cov_re.values())
    same = {name: np.equal.outer(data[name].to_numpy(), data[name].to_numpy()) for name in ("person", "item")}
    covariance = of_person * same["person"] + of_item * same["item"] + normal.phi.iloc[0] ** 2 * np.eye(len(data))
    left = normal.fitted_model.request.data["y"] - normal.predict(kind="mean_subject")
    expected = scipy.stats.multivariate_normal(np.zeros(len(data)), covariance).logpdf(left)
    assert normal.llf == pytest.approx(expected, abs=1e-8)
    assert normal.convergence.laplace_error.value == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("newdata", [False, True])
def test_simulated_rows_share_the_effects_of_their_levels(normal, data, newdata):
    drawn = normal.simulate(2000, seed=1, newdata=data if newdata else None).to_numpy()
    covariance = np.cov(drawn)
    same = {name: np.equal.outer(data[name].to_numpy(), data[name].to_numpy()) for name in ("person", "item")}
    for name, other in (("person", "item"), ("item", "person")):
        expected = normal.cov_re[name].iloc[0, 0]
        assert covariance[same[name] & ~same[other]].mean() == pytest.approx(expected, rel=0.1)
    assert abs(covariance[~same["person"] & ~same["item"]].mean()) < 0.05


def test_bootstrap_refits_all_factors(fit):
    found = fit.bootstrap(n=8, seed=2)
    assert found.converged.sum() >= 7
    assert found.conf_int().loc["x", "lower"] < fit.fe_params["x"] < found.conf_int().loc["x", "upper"]


def test_a_saved_fit_comes_back(fit, tmp_path):
    fit.save(tmp_path / "crossed.fit")
    again = gj.load(tmp_path / "crossed.fit")
    assert again.llf == fit.llf
    assert again.convergence.laplace_error == fit.convergence.laplace_error
    assert again.convergence.code is fit.convergence.code
    pd.testing.assert_frame_equal(again.random_effects["item"], fit.random_effects["item"])


def test_anova_says_what_laplace_is_worth(fit):
    alone = fit.update(random="~ 1 | person")
    assert gj.anova(alone, fit).p_value is None
    assert "correction='importance', or the other with n_agq=1" in str(gj.anova(alone, fit))
    found = gj.anova(alone.update(n_agq=1), fit)
    assert found.p_value is not None
    assert 0.0 < found.p_value < 1.0
    assert "by Laplace's method, and off by about" in str(found)


def test_a_score_test_is_close_to_the_likelihood_ratio(fit):
    found = fit.score_test("np.square(x)")
    larger = fit.update(fixed="y ~ x + np.square(x)")
    assert found.statistic == pytest.approx(2.0 * (larger.llf - fit.llf), rel=0.1)


@pytest.mark.slow
def test_a_corrected_fit_is_not_fitted_again_by_laplace(fit):
    corrected = fit.update(correction="importance", options=gj.Options(n_draws=100))
    assert corrected.llf > fit.llf
    calls = (lambda: corrected.bootstrap(n=2), lambda: corrected.conf_int(method="profile"), lambda: corrected.score_test("np.square(x)"))
    for call in calls:
        with pytest.raises(ArgumentError, match=r"take fit.update\(correction=None\)"):
            call()
    with pytest.raises(ArgumentError, match="Fit both the same way"):
        gj.anova(fit, corrected)


def test_a_sample_of_few_draws_is_not_called_converged(fit):
    with pytest.warns(ConvergenceWarning, match=r"importance sample is not settled.*n_draws=10_000.*leave correction out"):
        few = fit.update(correction="importance", options=gj.Options(n_draws=10))
    assert few.convergence.code is Code.QUADRATURE_NOT_SETTLED
    assert "The draws are worth too few to trust this number; take more" in str(few.summary())


def test_draws_beyond_memory_are_refused(fit):
    with pytest.raises(ArgumentError, match=r"Options\(n_draws=10,000,000,000\) takes .* take fewer draws"):
        fit.update(correction="importance", options=gj.Options(n_draws=10**10))


@pytest.mark.slow
def test_a_whole_fit_as_a_pure_function(fit, data):
    with jax.enable_x64(True):
        design = gj.make_design("y ~ x", RANDOM, data=data, family="binomial")
        params, info = gj.fit_params(design.clusters, "binomial", n_agq=1)
        assert Code(int(info.code)).is_certified
        assert float(info.log_likelihood) == pytest.approx(fit.llf, abs=1e-8)
        np.testing.assert_allclose(params.beta, fit.fe_params, atol=1e-6)
        with pytest.raises(ArgumentError, match="fit each data set by fit_params"):
            gj.fit_params_many(design.with_outcomes(np.ones((2, len(data)))), "binomial", n_agq=1)
        with pytest.raises(ArgumentError, match="crossed factors have none"):
            design.with_weights(np.ones(len(data)))


@pytest.mark.slow
def test_three_factors_of_which_one_is_inside_another(data, tmp_path):
    rows = data.assign(room=data.index % 3, count=(data["person"] + data.index) % 4)
    fit = gj.mixed_model("count ~ x", "(x | room) + (1 | room:item) + (1 | person)", data=rows, family="poisson")
    effects = fit.random_effects
    assert {name: table.shape for name, table in effects.items()} == {"room": (3, 2), "room:item": (36, 1), "person": (40, 1)}
    new = pd.DataFrame({"x": [0.5, 0.5], "room": [0, 9], "item": ["i2", "i2"], "person": [3, 3]})
    found = fit.predict(new, kind="subject_specific", scale="link").to_numpy()
    base = fit.fe_params["Intercept"] + 0.5 * fit.fe_params["x"] + effects["person"].loc[3].item()
    of_room = effects["room"].loc[0].to_numpy() @ [1.0, 0.5] + effects["room:item"].loc[(0, "i2")].item()
    np.testing.assert_allclose(found, [base + of_room, base], rtol=1e-10)
    fit.save(tmp_path / "three.fit")
    assert gj.load(tmp_path / "three.fit").llf == fit.llf
    assert fit.random_effects_table().loc[("room:item", "0:i2", "Intercept"), "std_error"] >= 0.0


def test_share_of_each_factor(fit):
    shares = fit.icc()
    variances = [d.iloc[0, 0] for d in fit.cov_re.values()]
    total = sum(variances) + np.pi**2 / 3
    np.testing.assert_allclose(shares["person"], variances[0] / total, rtol=1e-9)
    np.testing.assert_allclose(shares["item"], variances[1] / total, rtol=1e-9)


REFUSED = {
    "cluster_coefs": lambda fit: fit.cluster_coefs(),
    "robust errors": lambda fit: fit.cov_params("CR0"),
    "influence": lambda fit: fit.cooks_distance(),
    "dfbetas": lambda fit: fit.dfbetas(method="one_step"),
    "cluster bootstrap": lambda fit: fit.bootstrap(n=2, kind="cluster"),
    "wild bootstrap": lambda fit: fit.bootstrap(n=2, kind="wild"),
    "left out": lambda fit: fit.leave_cluster_out_score(),
    "posterior means": lambda fit: fit.random_effects_table(kind="mean"),
    "histories": lambda fit: fit.predict(
        newdata=fit.fitted_model.request.data, newdata2=fit.fitted_model.request.data, kind="subject_specific"
    ),
    "intervals": lambda fit: fit.predict(kind="subject_specific", interval=0.9),
    "posterior draws": lambda fit: fit.simulate(2, new_random_effects="posterior"),
    "permutation": lambda fit: gj.permutation_test(fit, "x", n_permutations=2),
    "folds": lambda fit: gj.cross_validate(fit, folds=3),
    "power": lambda fit: gj.power(fit, {"x": [0.2]}, n_sim=2),
    "predictor": lambda fit: fit.export_predictor("nowhere.bin"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_crossed_factors_cannot_have_is_refused(fit, what):
    with pytest.raises(ArgumentError, match="crossed ones, person, item"):
        REFUSED[what](fit)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"n_agq": 11}, ArgumentError, r"n_agq=11 .* Crossed factors take Laplace's method.*correction='importance'"),
        ({"weights": "x"}, DesignError, "weights= is for clusters"),
        ({"devices": 2}, ArgumentError, "devices"),
        ({"correction": "bias"}, ArgumentError, "correction='bias' is not known"),
        ({"random": "~ 1 | person", "correction": "importance"}, ArgumentError, "is for crossed factors"),
        ({"random": "(1 | person) + (1 | one)"}, DesignError, "the factor 'one' has one level"),
        ({"random": "(1 | person) + (1 | copy)"}, DesignError, "'person' and 'copy' are one factor"),
        ({"covariance": "ar1"}, ArgumentError, "one set of random effects"),
    ],
)
def test_bad_input(data, arguments, error, text):
    given = {"random": RANDOM, **arguments}
    with pytest.raises(error, match=text):
        gj.mixed_model("y ~ x", data=data.assign(one=1, copy=-data["person"]), family="binomial", **given)


def test_nested_labels_are_named(data):
    nested = data.assign(school=data["person"] // 8)
    with pytest.warns(DesignWarning, match=r"each person belongs to one school.*school/person"):
        gj.make_design("y ~ x", "(1 | school) + (1 | person)", data=nested, family="binomial")


def test_a_dense_part_that_is_too_large(monkeypatch, data):
    monkeypatch.setattr("glmmjax.design.layout.crossing._MOST_EFFECTS", 10)
    with pytest.raises(DesignError, match=r"40 of person, 12 of item; all but those of person stand in a dense matrix of 12 rows"):
        gj.make_design("y ~ x", RANDOM, data=data, family="binomial")


def test_zero_parts_have_no_crossed_effects(data):
    with pytest.raises(FormulaError, match="the zero part has no random effects"):
        gj.mixed_model("y ~ x", RANDOM, data=data, family="zero_inflated_poisson", zi_fixed="~ 1", zi_random="~ 1 | item")
