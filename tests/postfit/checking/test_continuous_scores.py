"""Scores of continuous outcomes: closed forms of the normal distribution, and SciPy's distribution functions integrated by SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats as st
from scipy.integrate import quad

import glmmjax as gj
from glmmjax.errors import ArgumentError
from tests.postfit.model_checks import at_parameters, clustered_rows

pytestmark = pytest.mark.usefixtures("compile_quickly")

ROWS = clustered_rows(6, 3)
ETA = 0.3 + 0.2 * ROWS["x"].to_numpy()
RNG = np.random.default_rng(0)
REAL = RNG.normal(size=len(ROWS))
POSITIVE, SHARES = np.exp(REAL), scipy.special.expit(REAL)
MEAN = scipy.special.expit(ETA)


def normal_crps(y, mean, sd):
    """Gneiting and Raftery (2007), equation 21."""
    z = (y - mean) / sd
    return -sd * (z * (2 * st.norm.cdf(z) - 1) + 2 * st.norm.pdf(z) - 1 / np.sqrt(np.pi))


def integrated(y, distribution, low, high, zero=0.0):
    """The CRPS by its definition, with the probability ``zero`` of a 0."""
    found = []
    for j, value in enumerate(y):
        one = distribution(j)
        given = {"limit": 500, "epsabs": 1e-10}
        left = quad(lambda x, one=one: (zero + (1 - zero) * one.cdf(x)) ** 2, low, value, **given)[0] if value > low else 0.0
        found.append(-left - quad(lambda x, one=one: ((1 - zero) * one.sf(x)) ** 2, value, high, **given)[0])
    return np.array(found)


def scores(family, y, phi, **others):
    arguments = {"fixed": "y ~ x", "data": ROWS.assign(y=y), "family": family}
    if "gamma" in others:
        arguments["zi_fixed"] = "~ 1"
    return at_parameters(arguments, [0.3, 0.2], phi=phi, **others).scoring_rules()


def test_normal_scores_are_the_closed_form():
    found = scores("gaussian", REAL, [np.log(0.7)])
    assert list(found.columns) == ["logarithmic", "crps"]
    np.testing.assert_allclose(found["crps"], normal_crps(REAL, ETA, 0.7), rtol=1e-10)
    np.testing.assert_allclose(found["logarithmic"], st.norm.logpdf(REAL, ETA, 0.7), rtol=1e-12)


@pytest.mark.parametrize(
    ("family", "phi", "y", "distribution", "ends"),
    [
        ("gamma", [np.log(2.0)], POSITIVE, lambda j: st.gamma(2.0, scale=np.exp(ETA[j]) / 2), (0, np.inf)),
        ("gamma", [np.log(0.05)], POSITIVE, lambda j: st.gamma(0.05, scale=np.exp(ETA[j]) / 0.05), (0, np.inf)),  # nearly all at 0
        ("lognormal", [np.log(0.5)], POSITIVE, lambda j: st.lognorm(0.5, scale=np.exp(ETA[j])), (0, np.inf)),
        (gj.families.StudentT(df=3.0), [np.log(0.7)], 5 * REAL, lambda j: st.t(3.0, ETA[j], 0.7), (-np.inf, np.inf)),
        ("beta", [np.log(3.0)], SHARES, lambda j: st.beta(3 * MEAN[j], 3 * (1 - MEAN[j])), (0, 1)),
        ("beta", [np.log(0.2)], SHARES, lambda j: st.beta(0.2 * MEAN[j], 0.2 * (1 - MEAN[j])), (0, 1)),  # nearly all at 0 and 1
    ],
)
def test_scores_are_those_of_the_distribution_function(family, phi, y, distribution, ends):
    found = scores(family, y, phi)
    np.testing.assert_allclose(found["crps"], integrated(y, distribution, *ends), atol=1e-6, rtol=1e-7)
    np.testing.assert_allclose(found["logarithmic"], [distribution(j).logpdf(one) for j, one in enumerate(y)], rtol=1e-9)


def test_zeros_have_a_probability():
    y = np.where(np.arange(len(ROWS)) % 3 == 0, 0.0, POSITIVE)
    found = scores("hurdle_gamma", y, [np.log(2.0)], gamma=[scipy.special.logit(0.3)])
    expected = integrated(y, lambda j: st.gamma(2.0, scale=np.exp(ETA[j]) / 2), 0, np.inf, zero=0.3)
    np.testing.assert_allclose(found["crps"], expected, atol=1e-7)
    np.testing.assert_allclose(found["logarithmic"][y == 0], np.log(0.3), rtol=1e-12)


def test_both_ends_have_a_probability():
    """A proportion that may be 0 or 1."""
    y = np.where(np.arange(len(ROWS)) % 3 == 0, 1.0, SHARES)
    phi = np.array([np.log(4.0), -1.0, np.log(2.0)])
    family = gj.families.OrderedBeta()
    fit = at_parameters({"fixed": "y ~ x", "data": ROWS.assign(y=y), "family": family}, [0.3, 0.2], phi=phi)
    of_rows = jnp.asarray(ETA), jnp.tile(phi[:, None], len(ETA))
    low, high = (np.exp(np.asarray(family.log_density(jnp.full(len(ETA), end), *of_rows))) for end in (0.0, 1.0))
    expected = []
    for j, value in enumerate(y):
        inside, share = st.beta(4 * MEAN[j], 4 * (1 - MEAN[j])), 1 - low[j] - high[j]
        left = quad(lambda x, j=j, inside=inside, share=share: (low[j] + share * inside.cdf(x)) ** 2, 0, value)[0]
        right = quad(lambda x, j=j, inside=inside, share=share: (high[j] + share * inside.sf(x)) ** 2, value, 1)[0]
        expected.append(-left - right)
    np.testing.assert_allclose(fit.scoring_rules()["crps"], expected, atol=1e-6)


def test_integrated_scores_average_over_the_posterior():
    """A new outcome of a normal model given those of its cluster is normal."""
    fit = at_parameters(
        {"fixed": "y ~ x", "random": "~ 1 | id", "data": ROWS.assign(y=REAL), "family": "gaussian"}, [0.3, 0.2], [[0.9]], phi=[np.log(0.5)]
    )
    residual = (REAL - ETA).reshape(6, 3)
    variance = 1 / (1 / 0.81 + 3 / 0.25)
    mean = ETA + np.repeat(variance * residual.sum(1) / 0.25, 3)
    found, sd = fit.scoring_rules(kind="integrated"), np.sqrt(variance + 0.25)
    np.testing.assert_allclose(found["crps"], normal_crps(REAL, mean, sd), rtol=1e-6)
    np.testing.assert_allclose(found["logarithmic"], st.norm.logpdf(REAL, mean, sd), rtol=1e-6)


STATUS = np.resize([0, 1, 2, 3, 0], len(REAL))
SD = 0.7
CENSORED = {
    "fixed": "cbind(value, status, upper) ~ x",
    "random": "~ 1 | id",
    "data": ROWS.assign(value=REAL, status=STATUS, upper=REAL + 0.4),
    "family": "censored_normal",
}


def what_is_known(mean):
    """(n,) density of values that were seen, and probability of what is known of the others, by SciPy."""
    at = st.norm(mean, SD)
    cases = [at.pdf(REAL), at.cdf(REAL), at.sf(REAL), at.cdf(REAL + 0.4) - at.cdf(REAL)]
    return np.choose(STATUS, cases)


def test_the_score_of_a_censored_outcome_is_the_probability_of_what_is_known():
    fit = at_parameters(CENSORED, [0.3, 0.2], [[0.9]], phi=[np.log(SD)])
    modes = fit.random_effects["Intercept"].to_numpy().repeat(3)
    found = fit.scoring_rules()
    assert list(found.columns) == ["logarithmic"]  # a CRPS that ends at the limits of censored rows alone is not proper
    np.testing.assert_allclose(found["logarithmic"], np.log(what_is_known(ETA + modes)), rtol=1e-8)


@pytest.mark.slow
def test_the_integrated_score_of_a_censored_outcome_is_that_of_integration():
    fit = at_parameters(CENSORED, [0.3, 0.2], [[0.9]], phi=[np.log(SD)])
    expected = []
    for cluster in np.arange(len(REAL)).reshape(6, 3):
        joint = lambda b, cluster=cluster: st.norm.pdf(b, 0.0, 0.9) * what_is_known(ETA + b)[cluster].prod()  # noqa: E731
        whole = quad(joint, -8.0, 8.0, epsabs=1e-13, limit=200)[0]
        given = lambda row, joint=joint: quad(lambda b: joint(b) * what_is_known(ETA + b)[row], -8.0, 8.0, epsabs=1e-13)[0]  # noqa: E731
        expected += [given(row) / whole for row in cluster]
    np.testing.assert_allclose(fit.scoring_rules(kind="integrated")["logarithmic"], np.log(expected), atol=1e-6)


def test_a_score_of_new_censored_times_has_missing_rows():
    data = ROWS.assign(time=POSITIVE, event=np.resize([1, 0], len(REAL)))
    fit = at_parameters({"fixed": "cbind(time, event) ~ x", "data": data, "family": "weibull"}, [0.3, 0.2], phi=[np.log(1.5)])
    new = data.assign(x=data["x"].where(np.arange(len(data)) != 2))
    law = st.weibull_min(1.5, scale=np.exp(ETA))
    found = fit.scoring_rules(new)["logarithmic"].to_numpy()
    assert np.isnan(found[2])
    expected = np.where(data["event"] == 1, law.logpdf(POSITIVE), law.logsf(POSITIVE))
    np.testing.assert_allclose(np.delete(found, 2), np.delete(expected, 2), rtol=1e-9)


def test_what_has_no_score_is_refused():
    no_constant = gj.families.Custom(lambda y, eta, phi: -0.5 * (y - eta) ** 2)
    with pytest.raises(ArgumentError, match=r"the custom density of row 0 integrates to 2\.506"):
        scores(no_constant, REAL, [])
