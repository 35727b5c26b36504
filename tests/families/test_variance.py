"""Variances of families against draws of the same families, and against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from glmmjax import families
from glmmjax.errors import ArgumentError
from glmmjax.families import WithDispersion

pytestmark = pytest.mark.usefixtures("compile_quickly")

# family, phi on the free scale, outcome that tells the number of trials
CASES = [
    (families.Beta(), (1.5,), None),
    (families.BetaBinomial(), (1.0,), (3.0, 4.0)),
    (families.Binomial(), (), (3.0, 4.0)),
    (families.Binomial("probit"), (), None),
    (families.ConwayMaxwellPoisson(n_terms=60), (0.3,), None),
    (families.Cumulative(n_levels=4), (-1.0, 0.2, 0.1), None),
    (families.Exponential(), (), None),
    (families.Gamma(), (0.8,), None),
    (families.Gaussian(), (0.4,), None),
    (families.GeneralizedPoisson(), (-1.0,), None),
    (families.HurdleGamma(), (0.8,), None),
    (families.HurdlePoisson(), (), None),
    (families.InverseGaussian(), (-1.0,), None),
    (families.Lognormal(), (-0.7,), None),
    (families.NegativeBinomial(), (0.7,), None),
    (families.NegativeBinomial1(), (0.1,), None),
    (families.OrderedBeta(), (1.0, -1.5, 1.0), None),
    (families.Poisson(), (), None),
    (families.StudentT(df=9.0), (0.2,), None),
    (families.TruncatedNegativeBinomial(), (0.7,), None),
    (families.TruncatedPoisson(), (), None),
    (families.Tweedie(), (0.1, 0.2), None),
    (families.Weibull(), (0.5,), None),
    (families.ZeroInflatedBinomial(), (), (3.0, 4.0)),
    (families.ZeroInflatedNegativeBinomial(), (0.7,), None),
]
N = 200_000


@pytest.mark.slow
@pytest.mark.parametrize(("family", "phi", "trials"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_variance_of_draws(family, phi, trials):
    with jax.enable_x64(True):
        eta, zero = jnp.full(N, 0.4), (jnp.full(N, -0.8),) * family.has_zero_part
        y = jnp.ones(N) if trials is None else tuple(jnp.full(N, t) for t in trials)
        free = jnp.broadcast_to(jnp.asarray(phi, float)[:, None], (len(phi), N))
        drawn = family.sample(jax.random.key(1), y, eta, free, *zero)
        drawn = np.asarray(drawn[0] / (drawn[0] + drawn[1]) if isinstance(drawn, tuple) else drawn)
        found = np.asarray(family.variance(y, eta, free, *zero))[0]
    noise = np.std((drawn - drawn.mean()) ** 2) / np.sqrt(N)
    np.testing.assert_allclose(found, drawn.var(), atol=4.5 * noise)


@pytest.mark.parametrize(
    ("family", "phi", "expected"),
    [
        (families.Poisson(), (), np.exp(0.4)),
        (families.NegativeBinomial(), (0.7,), stats.nbinom.var(np.exp(0.7), np.exp(0.7) / (np.exp(0.7) + np.exp(0.4)))),
        (families.Gamma(), (0.8,), stats.gamma.var(np.exp(0.8), scale=np.exp(0.4 - 0.8))),
        (families.Lognormal(), (-0.7,), stats.lognorm.var(np.exp(-0.7), scale=np.exp(0.4))),
        (families.StudentT(df=5.0), (0.2,), stats.t.var(5.0, scale=np.exp(0.2))),
        (families.Weibull(), (0.5,), stats.weibull_min.var(np.exp(0.5), scale=np.exp(0.4))),
        (families.StudentT(df=2.0), (0.2,), np.inf),
    ],
)
def test_variance_of_scipy(family, phi, expected):
    with jax.enable_x64(True):
        free = jnp.asarray(phi, float).reshape(len(phi), 1)
        found = family.variance(jnp.ones(1), jnp.array([0.4]), free)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        if len(phi) == 1:
            np.testing.assert_allclose(
                WithDispersion(family).variance(jnp.ones(1), jnp.array([0.4]), free[:0], free[0]), expected, rtol=1e-10
            )


def test_families_without_a_variance_say_what_to_take():
    with pytest.raises(ArgumentError, match=r"the unit_lindley family has no variance in closed form.*quantile residuals"):
        families.UnitLindley().variance(jnp.ones(1), jnp.zeros(1), jnp.zeros((0, 1)))
