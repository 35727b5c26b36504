"""Extra parameters with a prior over the fits: against closed forms, and against the truth of simulated counts."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.optimize

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.many.moderation import normal_prior, shrunken

pytestmark = pytest.mark.usefixtures("compile_quickly")
M, K, N = 20, 5, 150
TRUE_MEAN, TRUE_SD = 1.0, 0.3  # of log sizes


def drawn():
    """Covariates, counts of N genes, and the true logarithms of their sizes."""
    draws = np.random.default_rng(11)
    data = pd.DataFrame({"x": draws.normal(size=M * K), "g": np.repeat(np.arange(M), K)})
    log_size = TRUE_MEAN + TRUE_SD * draws.normal(size=N)
    size = np.exp(log_size)[:, None]
    mean = np.exp(2.0 + 0.3 * data["x"].to_numpy() + 0.4 * draws.normal(size=(N, M))[:, data["g"]])
    return data, draws.negative_binomial(size, size / (size + mean)).T.astype(float), log_size


def fit(**more):
    data, counts, _ = drawn()
    return gj.fit_many("~ x", "~ 1 | g", data=data, outcomes=counts, family="negative_binomial", **more)


@pytest.fixture(scope="module")
def pair():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.errors.ConvergenceWarning)
        return fit(), fit(moderate="phi")


def test_equal_variances_have_a_closed_form():
    values = np.random.default_rng(1).normal(2.0, 1.0, size=40)
    mean, variance = normal_prior(values, np.full(40, 0.25))
    assert mean == pytest.approx(values.mean())
    assert variance == pytest.approx(values.var(ddof=1) - 0.25)
    assert normal_prior(values, np.full(40, 9.0))[1] == 0.0


def test_moments_are_those_of_the_marginal_distribution():
    draws = np.random.default_rng(2)
    variances = draws.uniform(0.1, 2.0, size=4000)
    values = draws.normal(-1.0, np.sqrt(0.5 + variances))
    mean, variance = normal_prior(values, variances)
    weights = 1.0 / (variance + variances)
    assert mean == pytest.approx(np.average(values, weights=weights), abs=1e-12)
    assert (weights * (values - mean) ** 2).sum() == pytest.approx(len(values) - 1)
    assert (mean, variance) == pytest.approx((-1.0, 0.5), abs=0.1)  # four standard errors


def test_the_moderated_value_is_the_mode_of_the_posterior():
    found, left = shrunken(np.array([3.0]), np.array([0.5]), 1.0, 0.2)
    posterior = scipy.optimize.minimize_scalar(lambda t: (t - 3.0) ** 2 / 0.5 + (t - 1.0) ** 2 / 0.2)
    assert found[0] == pytest.approx(posterior.x, abs=1e-6)
    assert left[0] == pytest.approx(1.0 / (1.0 / 0.5 + 1.0 / 0.2))
    assert shrunken(np.array([3.0]), np.array([0.5]), 1.0, 0.0)[0][0] == 1.0


@pytest.mark.slow
def test_moderated_sizes_are_closer_to_the_truth(pair):
    plain, moderated = pair
    plain_table, table = plain.tidy("extra"), moderated.tidy("extra")
    used = plain.converged.to_numpy() & plain_table["std.error"].notna().to_numpy()
    assert used.sum() > 0.9 * N
    truth = drawn()[2][used]
    before, after = (np.log(one.phi["size"].to_numpy())[used] - truth for one in (plain, moderated))
    assert (after**2).mean() < 0.7 * (before**2).mean()
    prior = moderated.summary().tables["prior"].loc["size"]
    assert prior["fits"] == used.sum()
    assert prior["mean"] == pytest.approx(TRUE_MEAN, abs=0.15)
    assert prior["sd"] == pytest.approx(TRUE_SD, abs=0.12)
    assert (table["std.error"][used] / table["estimate"][used] < plain_table["std.error"][used] / plain_table["estimate"][used]).all()
    z = after / (table["std.error"] / table["estimate"])[used]  # on the scale of the logarithm
    assert 0.85 < np.mean(np.abs(z) < 1.96) <= 1.0


def test_fits_themselves_have_no_prior_and_the_result_says_so(pair):
    plain, moderated = pair
    pd.testing.assert_frame_equal(plain.fe_params, moderated.fe_params)
    pd.testing.assert_series_equal(plain.llf, moderated.llf)
    assert moderated[0].params.phi[0] == pytest.approx(np.log(plain.phi["size"][0]), abs=1e-5)
    assert repr(moderated).endswith("; size moderated>")
    assert "Prior over the fits" in str(moderated.summary())
    assert "moderated" not in repr(plain) + str(plain.summary())
    lost = plain.phi["size"][plain.tidy("extra")["std.error"].isna().to_numpy()]
    pd.testing.assert_series_equal(lost, moderated.phi["size"][lost.index])


def test_a_family_without_an_extra_parameter_is_refused():
    data, counts, _ = drawn()
    with pytest.raises(ArgumentError, match=r"moderate='phi' shrinks .*'poisson' has none in this model"):
        gj.fit_many("~ x", "~ 1 | g", data=data, outcomes=counts, family="poisson", moderate="phi")
    with pytest.raises(ArgumentError, match=r"moderate='theta' is not known"):
        gj.fit_many("~ x", "~ 1 | g", data=data, outcomes=counts, family="negative_binomial", moderate="theta")
