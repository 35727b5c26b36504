"""What changes no fit: the same maximum, estimates and standard errors from data that are written in another way.

Both fits of a pair carry a certificate, by which each is within 1e-6 of its maximum.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glmmjax as gj
from tests.properties.models import few, outcome

pytestmark = pytest.mark.usefixtures("compile_quickly")
CERTIFICATE = 1e-6  # log-likelihood
FAMILIES = ("binomial", "poisson")
M, WIDTH, N_TRIALS = 24, 6, 3


def table(family: str) -> pd.DataFrame:
    """Twenty-four clusters with a random intercept and a random slope of x."""
    r = np.random.default_rng(7)
    ids = np.repeat(np.arange(M), WIDTH)
    d = pd.DataFrame({"id": ids, "x": r.normal(size=M * WIDTH), "g": r.choice(["a", "b", "c"], M * WIDTH)})
    b = r.normal(size=(M, 2)) * [0.9, 0.6]
    eta = 0.3 + 0.5 * d["x"] + b[ids, 0] + b[ids, 1] * d["x"]
    if family == "poisson":
        return d.assign(y=r.poisson(np.exp(eta)))
    y = r.binomial(N_TRIALS, 1 / (1 + np.exp(-eta)))
    return d.assign(y=y, f=N_TRIALS - y)


def fitted(data: pd.DataFrame, family: str, terms: str = "x + g", random: str = "~ 1 | id", **arguments) -> gj.MixedModelResults:
    found = gj.mixed_model(f"{outcome(family)} ~ {terms}", random, data=data, family=family, **arguments)
    assert found.converged
    return found


def same(one: gj.MixedModelResults, other: gj.MixedModelResults, coefficients: np.ndarray, errors: np.ndarray, constant: float = 0.0):
    """``coefficients`` and ``errors`` are those that ``other`` implies for ``one``."""
    np.testing.assert_allclose(one.llf, other.llf + constant, rtol=0, atol=2 * CERTIFICATE)
    # a quadratic that lacks at most a certificate is at most sqrt(2 certificate) standard errors from its maximum
    apart = np.abs(one.fe_params.to_numpy() - coefficients) / one.bse_fe.to_numpy()
    assert apart.max() < 2 * np.sqrt(2 * CERTIFICATE)
    np.testing.assert_allclose(one.bse_fe.to_numpy(), errors, rtol=1e-3)


def unchanged(one: gj.MixedModelResults, other: gj.MixedModelResults, constant: float = 0.0):
    names = list(one.fe_params.index)
    same(one, other, other.fe_params[names].to_numpy(), other.bse_fe[names].to_numpy(), constant)
    np.testing.assert_allclose(one.cov_re.to_numpy(), other.cov_re.to_numpy(), rtol=1e-2)


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request):
    """(family, data, fit) with a random intercept."""
    return request.param, table(request.param), fitted(table(request.param), request.param)


@few
@given(order=st.permutations(range(M * WIDTH)), clusters=st.permutations(range(M)))
def test_orders_and_names(plain, order, clusters):
    family, data, fit = plain
    changed = data.iloc[list(order)].assign(id=lambda d: d["id"].map(lambda k: f"cluster {clusters[k]}"))
    other = fitted(changed, family)
    unchanged(other, fit)
    mine = fit.random_effects["Intercept"]
    its = other.random_effects["Intercept"][[f"cluster {clusters[k]}" for k in mine.index]]
    np.testing.assert_allclose(its.to_numpy(), mine.to_numpy(), atol=1e-3)


@few
@given(reference=st.sampled_from("bc"), terms=st.permutations(["x", "g"]))
def test_recoded_factors_and_permuted_columns(plain, reference, terms):
    family, data, fit = plain
    levels = [reference, *sorted(set("abc") - {reference})]
    other = fitted(data.assign(g=pd.Categorical(data["g"], levels)), family, " + ".join(terms))
    means = {level: fit.fe_params["Intercept"] + fit.fe_params.get(f"g[T.{level}]", 0.0) for level in "abc"}
    implied = [means[reference], fit.fe_params["x"], *(means[level] - means[reference] for level in levels[1:])]
    names = ["Intercept", "x", *(f"g[T.{level}]" for level in levels[1:])]
    np.testing.assert_allclose(other.llf, fit.llf, rtol=0, atol=2 * CERTIFICATE)
    np.testing.assert_allclose(other.fe_params[names], implied, atol=1e-3)
    np.testing.assert_allclose(other.bse_fe["x"], fit.bse_fe["x"], rtol=1e-3)


def of_shifted(fit: gj.MixedModelResults, scale: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors for ``scale x + shift``, by the linear map between the two."""
    change = np.eye(len(fit.fe_params))
    where = list(fit.fe_params.index).index("x")
    change[where, where], change[0, where] = 1 / scale, -shift / scale
    return change @ fit.fe_params.to_numpy(), np.sqrt(np.diagonal(change @ fit.cov_params().to_numpy() @ change.T))


factors = st.sampled_from([1e-6, 1e-3, 0.2, 1e3, 1e6])
shifts = st.sampled_from([-3.0, 0.0, 100.0, 2010.0])  # in units of the covariate


@few
@given(scale=factors, shift=shifts)
def test_shift_and_scale_of_a_covariate(plain, scale, shift):
    family, data, fit = plain
    other = fitted(data.assign(x=scale * (data["x"] + shift)), family)
    same(other, fit, *of_shifted(fit, scale, scale * shift))


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_shift_and_scale_of_a_covariate_with_a_random_slope(family):
    data = table(family)
    fit = fitted(data, family, random="~ x | id")

    @few
    @given(scale=factors, shift=shifts)
    def holds(scale, shift):
        other = fitted(data.assign(x=scale * (data["x"] + shift)), family, random="~ x | id")
        same(other, fit, *of_shifted(fit, scale, scale * shift))

    holds()


@few
@given(coefficient=st.floats(-1, 1))
def test_an_offset_moves_a_coefficient_by_as_much(plain, coefficient):
    family, data, fit = plain
    other = fitted(data, family, offset=coefficient * data["x"])
    moved = fit.fe_params.to_numpy() - coefficient * (fit.fe_params.index == "x")
    same(other, fit, moved, fit.bse_fe.to_numpy())


@few
@given(weights=st.permutations([1] * 16 + [2] * 8))
def test_a_weight_is_a_number_of_equal_clusters(plain, weights):
    family, data, _ = plain
    again = data[data["id"].map(dict(enumerate(weights))) == 2].assign(id=lambda d: d["id"] + M)
    unchanged(fitted(pd.concat([data, again]), family), fitted(data, family, weights=np.array(weights, float)))


def test_cells_are_their_bernoulli_rows_and_a_constant():
    data = table("binomial")
    y, f = data["y"].to_numpy(), data["f"].to_numpy()
    single = pd.concat([data.loc[data.index.repeat(y)].assign(y=1, f=0), data.loc[data.index.repeat(f)].assign(y=0, f=1)])
    constant = np.log(np.where((y == 0) | (f == 0), 1, N_TRIALS)).sum()  # binomial coefficients of three
    unchanged(fitted(data, "binomial"), fitted(single, "binomial"), constant)
