"""Variances of rows on the scale of the link: each against an integral over the density, or the distribution of SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from glmmjax import families
from glmmjax.errors import ArgumentError
from glmmjax.families.observation_variance import observation_variance

MEAN = 3.7
_LATENT = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}


def natural(family, phi):
    return tuple(np.asarray(family.natural(jnp.asarray(phi))).tolist())


def variance_of(function, family, phi, eta, ends):
    """Variance of ``function(y)`` under the density of the family, by quadrature."""

    def moment(power, centre):
        def integrand(x):  # y = function's inverse; here function is the identity or the logarithm
            y = np.exp(x) if function == "log" else x
            jacobian = y if function == "log" else 1.0
            value = (y, 1.0) if family.is_censored else y
            return (x - centre) ** power * jacobian * float(jnp.exp(family.log_density(value, eta, jnp.asarray(phi))))

        return integrate.quad(integrand, *ends, limit=400)[0]

    assert moment(0, 0.0) == pytest.approx(1.0, abs=1e-7)
    centre = moment(1, 0.0)
    return moment(2, centre)


@pytest.mark.parametrize(
    ("family", "phi", "function", "ends"),
    [
        (families.Gaussian(), [0.3], "identity", (-20, 20)),
        (families.StudentT(df=9.0), [0.2], "identity", (-400, 400)),
        (families.StudentT(df=None), [0.2, np.log(9.0)], "identity", (-400, 400)),
        (families.Lognormal(), [-0.4], "log", (-12, 12)),
        (families.Weibull(), [0.5], "log", (-25, 5)),
        (families.Exponential(), [], "log", (-40, 6)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_latent_variable(family, phi, function, ends):
    with jax.enable_x64(True):
        expected = variance_of(function, family, np.array(phi, float), 0.4, ends)
        found = observation_variance(family, natural(family, np.array(phi, float)), MEAN, "lognormal")
    assert found == pytest.approx(expected, rel=1e-5)


def test_gamma_by_trigamma_is_exact():
    with jax.enable_x64(True):
        expected = variance_of("log", families.Gamma(), np.array([0.7]), np.log(MEAN), (-30, 6))
        assert observation_variance(families.Gamma(), (np.exp(0.7),), MEAN, "trigamma") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("link", _LATENT)
def test_a_threshold_on_a_latent_variable(link):
    for family in (families.Binomial(link=link), families.Cumulative(link=link, n_levels=3)):
        assert observation_variance(family, (), 0.3, "lognormal") == pytest.approx(_LATENT[link].var(), rel=1e-12)
    at = _LATENT[link].ppf(0.3)  # by the delta method: p (1 - p) / f(at)^2
    expected = 0.3 * 0.7 / _LATENT[link].pdf(at) ** 2
    assert observation_variance(families.Binomial(link=link), (), 0.3, "delta") == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("family", "phi", "law"),
    [
        (families.Poisson(), (), stats.poisson(MEAN)),
        (families.NegativeBinomial(), (1.8,), stats.nbinom(1.8, 1.8 / (1.8 + MEAN))),
        (families.NegativeBinomial1(), (0.6,), stats.nbinom(MEAN / 0.6, 1 / 1.6)),
        (families.Gamma(), (2.5,), stats.gamma(2.5, scale=MEAN / 2.5)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_approximations_for_the_log_link(family, phi, law):
    assert law.mean() == pytest.approx(MEAN)
    relative = law.var() / MEAN**2
    expected = {"delta": relative, "lognormal": np.log(1 + relative), "trigamma": special.polygamma(1, 1 / relative)}
    for approximation, value in expected.items():
        assert observation_variance(family, phi, MEAN, approximation) == pytest.approx(value, rel=1e-10), approximation


def test_the_square_root_of_a_poisson_count():
    counts = np.arange(2000)
    weights = stats.poisson(400.0).pmf(counts)
    variance = weights @ counts - (weights @ np.sqrt(counts)) ** 2  # tends to 1/4
    assert observation_variance(families.Poisson(link="sqrt"), (), 400.0, "lognormal") == pytest.approx(variance, abs=1e-3)


@pytest.mark.parametrize(
    ("family", "phi", "reason"),
    [
        (families.Binomial(link="cauchit"), (), "the binomial family with the cauchit link: the latent variable has a Cauchy distribution"),
        (families.Binomial(link="log"), (), "has no formula in the literature"),
        (families.Gaussian(link="log"), (1.0,), "has no formula in the literature"),
        (families.Beta(), (1.0,), "the beta family with the logit link"),
        (families.ZeroInflatedPoisson(), (), "it has two linear predictors"),
        (families.HurdleLognormal(), (1.0,), "it has two linear predictors"),
        (families.StudentT(df=None), (1.0, 1.5), r"df=1\.5: its variance is infinite for df <= 2"),
    ],
)
def test_reasons_against_one(family, phi, reason):
    with pytest.raises(ArgumentError, match=reason):
        observation_variance(family, phi, 0.5, "lognormal")


def test_every_family_has_one_or_a_reason():
    has = set()
    for name, kind in families.FAMILIES.items():
        try:
            family = kind()
            found = observation_variance(family, (3.0,) * max(1, len(family.phi_names) if name != "cumulative" else 1), 0.5, "delta")
            assert found > 0
            has.add(name)
        except ArgumentError as error:
            assert "no R2 and no ICC for the" in str(error)  # noqa: PT017
    assert has == {
        *("binomial", "cumulative", "gaussian", "student_t", "lognormal", "censored_normal", "weibull", "exponential"),
        *("poisson", "negative_binomial", "negative_binomial1", "gamma"),
    }
