"""Models of all families as a user writes them: closed forms, an ordinal peer, structures of D, and every refusal by its text."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError, FormulaError, OutcomeError
from glmmjax.families import Custom, Gaussian, NegativeBinomial, log_gamma, log_rising, softplus
from glmmjax.likelihood.covariance import STRUCTURES
from tests.families.test_families import ROWS
from tests.reference_cases import FOLDER, load_case

pytestmark = pytest.mark.usefixtures("compile_quickly")

HURDLE = {"family": "hurdle_poisson"}


@pytest.fixture(scope="module")
def data():
    """Sixty clusters of six rows with outcomes of several kinds."""
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(60), 6)
    x, b = rng.normal(size=360), rng.normal(size=60)
    group = np.where(cluster % 2, "b", "a")
    normal = 1.0 + 0.5 * x + 0.8 * b[cluster] + rng.normal(size=360) * np.where(group == "a", 0.5, 1.2)
    count = rng.poisson(np.exp(0.4 + 0.3 * x + 0.5 * b[cluster])) * (rng.uniform(size=360) > 0.3)
    return pd.DataFrame({"id": cluster, "x": x, "group": group, "visit": np.tile(np.arange(3), 120), "normal": normal, "count": count})


# closed forms


@pytest.fixture(scope="module")
def gaussian_fit(data):
    return gj.mixed_model("normal ~ x", random="~ 1 | id", data=data, family="gaussian", n_agq=1)


def test_gaussian_likelihood_is_that_of_the_multivariate_normal(data, gaussian_fit):
    """Quadrature with one point is exact for a normal outcome."""
    mean = gaussian_fit.fe_params["Intercept"] + gaussian_fit.fe_params["x"] * data["x"].to_numpy()
    covariance = gaussian_fit.cov_re.iloc[0, 0] * np.ones((6, 6)) + gaussian_fit.phi["sd"] ** 2 * np.eye(6)
    residuals = (data["normal"].to_numpy() - mean).reshape(60, 6)
    assert gaussian_fit.converged
    assert gaussian_fit.llf == pytest.approx(scipy.stats.multivariate_normal(np.zeros(6), covariance).logpdf(residuals).sum(), abs=1e-8)
    assert abs(gaussian_fit.convergence.quadrature_error) < 1e-8


def test_dispersion_formula_gives_each_group_its_own_deviation(data):
    fit = gj.mixed_model("normal ~ group", data=data, family="gaussian", dispersion="~ group")
    deviations = [data.loc[data["group"] == name, "normal"].std(ddof=0) for name in "ab"]
    delta = fit.params.delta
    np.testing.assert_allclose(np.exp([delta[0], delta.sum()]), deviations, rtol=1e-6)
    expected = sum(scipy.stats.norm(rows.mean(), rows.std(ddof=0)).logpdf(rows).sum() for _, rows in data.groupby("group")["normal"])
    assert fit.llf == pytest.approx(expected, abs=1e-8)
    text = str(fit.summary())
    assert "Effects on the sd (free scale)" in text
    assert list(fit.tables["dispersion"].index) == ["Intercept", "group[T.b]"]


def test_zero_part_has_its_own_names_offset_and_covariance(data):
    arguments = {"fixed": "count ~ x", "random": "~ 1 | id", "data": data, "family": "zero_inflated_poisson"}
    joint = gj.make_design(**arguments, zi_fixed="~ group", zi_random="~ 1 | id")
    assert joint.zi_fixed_names == ("Intercept", "group[T.b]")
    assert joint.random_names == ("Intercept", "zi_Intercept")
    assert joint.covariance.mask() == ((True, True), (True, True))
    independent = gj.make_design(**{**arguments, "random": "~ 1 || id"}, zi_random="~ 1 | id")
    assert independent.covariance.mask() == ((True, False), (False, True))
    assert independent.zi_fixed_names == ("Intercept",)

    plain = gj.make_design(**arguments)
    moved = gj.make_design(**arguments, zi_offset=np.full(len(data), 0.4))
    with jax.enable_x64(True):
        params = gj.Params(jnp.array([0.4, 0.3]), jnp.array([[0.5]]), (), jnp.array([-0.6]))
        less = params._replace(gamma=params.gamma - 0.4)
        values = [gj.log_likelihood(p, d.clusters, d.family, 3) for p, d in ((params, plain), (less, moved))]
    assert float(values[0]) == pytest.approx(float(values[1]), rel=1e-12)


# ordinal outcomes


def test_cumulative_logit_is_that_of_clmm():
    wine = pd.read_csv(FOLDER / "o46_wine_raw.csv")
    fit = gj.mixed_model("rating ~ temp + contact", random="~ 1 | judge", data=wine, family="cumulative", n_agq=10)
    stored = pd.read_json(FOLDER / "o46_wine_ordinal.json", typ="series")["clmm_nAGQ10"]
    names = ["tempwarm", "contactyes"]
    assert fit.llf == pytest.approx(stored["logLik"], abs=1e-6)
    np.testing.assert_allclose(fit.fe_params, [stored["coefficients"][name] for name in names], atol=1e-4)
    np.testing.assert_allclose(fit.phi, [stored["coefficients"][name] for name in fit.phi.index], atol=1e-4)
    assert fit.cov_re.iloc[0, 0] == pytest.approx(stored["RE_var"], abs=1e-3)
    np.testing.assert_allclose(fit.bse_fe, [stored["se"][name] for name in names], rtol=1e-3)
    np.testing.assert_allclose(fit.tables["phi"]["std_error"], [stored["se"][name] for name in fit.phi.index], rtol=1e-3)
    assert "Thresholds" in str(fit.summary())
    assert list(fit.fe_params.index) == ["temp[T.warm]", "contact[T.yes]"]


@pytest.mark.parametrize(
    ("column", "fixed", "error", "match"),
    [
        (["low", "high"] * 180, "grade ~ x", OutcomeError, r"cumulative: the outcome 'grade' is text, whose levels have no order"),
        (np.arange(360), "grade ~ x", OutcomeError, r"cumulative: the outcome 'grade' has 360 levels, and must have 2 to 30"),
        ([1, 2, 3] * 120, "grade ~ 0 + x", FormulaError, r"the thresholds of an ordinal outcome stand for the intercept"),
    ],
)
def test_ordinal_outcomes_that_are_refused(data, column, fixed, error, match):
    with pytest.raises(error, match=match):
        gj.make_design(fixed, "~ 1 | id", data=data.assign(grade=column), family="cumulative")


# a family of one's own


def plain_negative_binomial(y, eta, phi):
    size, mu = jnp.exp(phi[0]), jnp.exp(eta)
    constant = log_rising(size, y) - log_gamma(y + 1.0)
    return constant + size * jnp.log(size / (size + mu)) + y * jnp.log(mu / (size + mu))


def my_negative_binomial(y, eta, phi):
    return y * eta - (jnp.exp(phi[0]) + y) * softplus(eta - phi[0])


def my_base(y, phi):
    return log_rising(jnp.exp(phi[0]), y) - y * phi[0] - log_gamma(y + 1.0)


OWN = Custom(my_negative_binomial, "log", n_phi=1, log_base=my_base, is_log_concave=True)


@pytest.mark.slow
def test_a_custom_negative_binomial_gives_the_fit_of_the_built_in():
    arguments = load_case("o10").arguments
    built_in, own = (gj.mixed_model(**{**arguments, "family": family}) for family in ("negative_binomial", OWN))
    assert own.converged
    assert own.llf == pytest.approx(built_in.llf, abs=1e-8)
    np.testing.assert_allclose(own.fe_params, built_in.fe_params, rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.exp(own.phi.iloc[0]), built_in.phi.iloc[0], rtol=1e-8)
    assert "family: custom" in str(own.summary())


@pytest.mark.parametrize("family", [OWN, Custom(plain_negative_binomial, "log", n_phi=1)], ids=["with a base", "plain"])
def test_a_custom_density_is_taken_row_by_row(family):
    y, eta = jnp.arange(6.0).reshape(2, 3), jnp.linspace(-1.0, 2.0, 6).reshape(2, 3)
    phi = jnp.array([[0.3, -0.2, 1.0]])  # one a cluster
    with jax.enable_x64(True):
        found, expected = (f.log_density(y, eta, phi) for f in (family, NegativeBinomial()))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(family.mean(eta, phi), np.exp(eta), rtol=1e-6)
    with pytest.raises(ArgumentError, match=r"this Custom family cannot be simulated from; give it Custom\(..., sample="):
        family.sample(jax.random.key(0), y, eta, phi)


@pytest.mark.parametrize(
    ("density", "match"),
    [
        (
            lambda y, eta, phi: -1.0 if y > 2 else eta,
            r"Custom\(log_density\), .* cannot be traced by JAX .* jnp.where in the place of if",
        ),
        (lambda y, eta, phi: jnp.stack([y, eta]), r"Custom\(log_density\) gives \(2,\) for one row, and must give one number"),
        (lambda y, eta, phi: jnp.log(y - 1.0) - eta, r"Custom\(log_density\) gives -?(nan|inf) for the outcome . at eta = 0 and phi = 0"),
        (lambda y, eta, phi: phi[3] * eta, r"cannot be traced by JAX .* check n_phi"),
    ],
)
def test_custom_densities_that_are_refused(data, density, match):
    with pytest.raises(ArgumentError, match=match):
        gj.make_design("count ~ x", "~ 1 | id", data=data, family=Custom(density, n_phi=1))


@pytest.mark.parametrize(
    ("density", "keywords", "match"),
    [
        (3, {}, r"Custom\(log_density=3\) must be a function"),
        (lambda y, eta: eta, {}, r"takes 2 arguments, not \(y, eta, phi\)"),
        (my_negative_binomial, {"n_phi": 1, "mean": 3}, r"Custom\(mean=3\) must be a function, or None"),
        (my_negative_binomial, {"n_phi": -1}, r"Custom\(n_phi=-1\) must be a whole number >= 0"),
        (my_negative_binomial, {"n_phi": 1, "n_columns": 4}, r"Custom\(n_columns=4\) must be 1, 2 or 3"),
    ],
)
def test_custom_arguments_that_are_refused(density, keywords, match):
    with pytest.raises(ArgumentError, match=match):
        Custom(density, "log", **keywords)


# structures of D


@pytest.mark.parametrize("name", [pytest.param("compound_symmetry", marks=pytest.mark.slow), "ar1"])
def test_structured_covariance_is_a_maximum_with_its_structure(data, name):
    fit = gj.mixed_model("normal ~ x", random="~ 0 + C(visit) | id", data=data, family="gaussian", covariance=name, n_agq=1)
    assert fit.converged
    assert fit.df_params == 5
    d, structure = fit.cov_re.to_numpy(), fit.fitted_model.design.covariance
    np.testing.assert_allclose(np.diagonal(d), d[0, 0])
    assert d[0, 2] == pytest.approx(d[0, 1] if name == "compound_symmetry" else d[0, 1] ** 2 / d[0, 0], abs=1e-9)

    def llf(theta):
        """By the multivariate normal distribution, of (beta, free vector of D, log sd)."""
        root = np.asarray(structure.factor(jnp.asarray(theta[2:4])))
        z = np.eye(3)[data["visit"].to_numpy().reshape(60, 6)]
        covariance = z @ (root @ root.T) @ z.transpose(0, 2, 1) + np.exp(2 * theta[4]) * np.eye(6)
        residuals = (data["normal"] - theta[0] - theta[1] * data["x"]).to_numpy().reshape(60, 6)
        quadratic = np.einsum("mi,mi->", residuals, np.linalg.solve(covariance, residuals[..., None])[..., 0])
        return -0.5 * (quadratic + np.linalg.slogdet(covariance)[1].sum() + 360 * np.log(2 * np.pi))

    theta = fit.fitted_model.theta
    with jax.enable_x64(True):
        assert fit.llf == pytest.approx(llf(theta), abs=1e-8)
        slopes = [(llf(theta + step) - llf(theta - step)) / 2e-5 for step in 1e-5 * np.eye(5)]
    np.testing.assert_allclose(slopes, 0.0, atol=1e-4)
    modes = fit.random_effects.to_numpy()
    assert np.isfinite(modes).all()
    assert np.isfinite(fit.bse_re).all()


@pytest.mark.parametrize(
    ("random", "covariance", "match"),
    [
        (
            "~ x | id",
            "toeplitz",
            r"covariance='toeplitz' is not known; choose one of 'unstructured', 'diagonal', 'compound_symmetry', 'ar1'",
        ),
        ("~ x || id", "ar1", r"covariance='ar1' is for one set of random effects with a single bar, .*; the model has one with \|\|"),
        ("~ 1 | id", "ar1", r"covariance='ar1' needs at least two random effects"),
        (None, "diagonal", r"covariance='diagonal' is for one set of random effects with a single bar, .*; the model has 0 of them"),
    ],
)
def test_covariances_that_are_refused(data, random, covariance, match):
    with pytest.raises(ArgumentError, match=match):
        gj.make_design("count ~ x", random, data=data, family="poisson", covariance=covariance)


def test_initial_values_must_have_the_structure(data):
    start = {"beta": [0.0, 0.0], "D": [[1.0, 0.2, 0.3], [0.2, 1.0, 0.1], [0.3, 0.1, 2.0]], "phi": [0.0]}
    with pytest.raises(ArgumentError, match=r"initial_values: D = chol chol' is .*, which the model's covariance structure does not have"):
        gj.mixed_model("normal ~ x", random="~ 0 + C(visit) | id", data=data, family=Gaussian(), covariance="ar1", initial_values=start)


def test_the_documented_names_of_structures_are_all():
    assert all(name in (gj.mixed_model.__doc__ or "") for name in STRUCTURES)


# arguments and outcomes that do not belong to the family


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"zi_fixed": "~ x"}, ArgumentError, r"zi_fixed='~ x' belongs to a family with a zero part, and the poisson family has none"),
        ({"zi_random": "~ 1 | id"}, ArgumentError, r"zi_random='~ 1 \| id' belongs to a family with a zero part"),
        ({"zi_offset": np.zeros(360)}, ArgumentError, r"zi_offset=... belongs to a family with a zero part"),
        ({"dispersion": "~ x"}, ArgumentError, r"dispersion='~ x' is a predictor for the one extra parameter .* poisson family has none"),
        ({"family": "gamma", "fixed": "I(count + 1) ~ x", "dispersion": "~ 0"}, FormulaError, r"effects on the dispersion have no columns"),
        ({**HURDLE, "zi_fixed": "~ 0"}, FormulaError, r"the fixed effects of the zero part have no columns; write '~ 1'"),
        ({"family": "gamma", "dispersion": "x"}, FormulaError, r"dispersion='x' must have the form '~ terms'"),
        ({"family": "gamma", "dispersion": "~ (1 | id)"}, FormulaError, r"dispersion='~ \(1 \| id\)' has random effects"),
        ({**HURDLE, "zi_fixed": "~ (1 | id)", "zi_random": "~ 1 | id"}, FormulaError, r"zi_random=.* and the bar in zi_fixed"),
        ({**HURDLE, "zi_random": "~ 1 | group"}, FormulaError, r"has the grouping factors 'id', 'group': with several of them"),
        ({**HURDLE, "zi_offset": "nothing"}, DesignError, r"zi_offset='nothing' names 'nothing', and data have no such column"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_belong_to_the_family(data, arguments, error, match):
    given = {"fixed": "count ~ x", "random": "~ 1 | id", "data": data, "family": "poisson", **arguments}
    with pytest.raises(error, match=match):
        gj.make_design(**given)


def test_a_stream_takes_families_with_one_predictor(data):
    with pytest.raises(ArgumentError, match=r"family='hurdle_poisson' of a stream: zero parts, .* need data in memory"):
        gj.mixed_model("count ~ x", random="~ 1 | id", data=gj.stream([data]), family="hurdle_poisson")


@pytest.mark.parametrize(
    "row", [row for row in ROWS if np.isfinite(row.bad).any() and not row.family.is_ordinal], ids=lambda row: row.family.name
)
def test_a_bad_outcome_gets_the_message_of_its_family(data, row):
    """The row by its label, the value, what the support is."""
    good = row.y[0] if row.y else row.atoms[0]
    for bad in (value for value in row.bad if np.isfinite(value)):  # NaN is dropped with its row, inf refused before
        columns = row.columns(np.where(np.arange(360) == 17, bad, good))
        columns = columns if isinstance(columns, tuple) else (columns,)
        names = [f"y{k}" for k in range(len(columns))]
        frame = data.assign(**{name: np.asarray(column, float) for name, column in zip(names, columns, strict=True)})
        left = names[0] if len(names) == 1 else f"cbind({', '.join(names)})"
        with pytest.raises(OutcomeError, match=rf"{row.family.name}: the outcome .* is .*{bad:g}.* in row 17; it must be "):
            gj.make_design(f"{left} ~ x", "~ 1 | id", data=frame, family=row.family)


def test_anova_tests_a_dispersion_formula_against_a_constant(data):
    larger = gj.mixed_model("normal ~ group", data=data, family="gaussian", dispersion="~ group")
    smaller = gj.mixed_model("normal ~ group", data=data, family="gaussian")
    comparison = gj.anova(smaller, larger)
    assert comparison.statistic == pytest.approx(2 * (larger.llf - smaller.llf))
    assert comparison.comparison.df == 1
    assert "normal ~ group, dispersion ~ group" in str(comparison)
    other = gj.mixed_model("normal ~ group", data=data, family="gaussian", dispersion="~ x")
    assert "the models are not nested" in " ".join(str(gj.anova(larger, other)).split())


@pytest.mark.parametrize(
    ("base", "match"),
    [
        (lambda y: y, r"or its log_base, cannot be traced by JAX \(TypeError"),
        (lambda y, phi: jnp.stack([y, y]), r"Custom\(log_base\) gives \(2,\) for one row, and must give one number"),
    ],
)
def test_custom_bases_that_are_refused(data, base, match):
    with pytest.raises(ArgumentError, match=match):
        gj.make_design("count ~ x", "~ 1 | id", data=data, family=Custom(my_negative_binomial, "log", n_phi=1, log_base=base))


def test_parameters_of_the_wrong_length_are_refused(data):
    design = gj.make_design("count ~ x", "~ 1 | id", data=data, family="negative_binomial")
    start = gj.Params(jnp.zeros(2), jnp.eye(1))
    with pytest.raises(ArgumentError, match=r"params.phi has shape \(0,\); these clusters and the negative_binomial family need \(1,\)"):
        gj.log_likelihood(start, design.clusters, design.family)
    with pytest.raises(ArgumentError, match=r"init.phi has shape \(0,\); these clusters and the negative_binomial family need \(1,\)"):
        gj.fit_params(design.clusters, design.family, init=start)
    with pytest.raises(ArgumentError, match=r"clusters have 1 linear predictors, and the hurdle_poisson family takes 2"):
        gj.fit_params(design.clusters, "hurdle_poisson")
    with pytest.raises(ArgumentError, match=r"df='four' of StudentT must be a positive number, or None"):
        gj.families.StudentT(df="four")  # type: ignore[arg-type]
