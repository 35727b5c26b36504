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


def test_what_has_no_score_is_refused():
    y = np.column_stack([REAL, np.zeros(len(REAL))])
    data = ROWS.assign(value=y[:, 0], status=y[:, 1])
    censored = at_parameters({"fixed": "cbind(value, status) ~ x", "data": data, "family": "censored_normal"}, [0.3, 0.2], phi=[0.0])
    with pytest.raises(ArgumentError, match=r"those of cbind\(value, status\) may be censored"):
        censored.scoring_rules()
    no_constant = gj.families.Custom(lambda y, eta, phi: -0.5 * (y - eta) ** 2)
    with pytest.raises(ArgumentError, match=r"the custom density of row 0 integrates to 2\.506"):
        scores(no_constant, REAL, [])
