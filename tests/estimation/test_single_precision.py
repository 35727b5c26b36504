"""A fit in float32 ends where float64 ends, in about as many evaluations: rounding neither keeps it going nor stops it early."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from tests.reference_cases import load_case

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compile_quickly")]  # each fit is compiled in two precisions

N_FITS = 32


def outcomes(family, ids, x):
    """(N_FITS, n) from one model each."""
    rng = np.random.default_rng(1)
    eta = 0.5 + 0.3 * x - 0.2 * (ids % 2) + 0.7 * rng.normal(size=(N_FITS, 20))[:, ids]
    counts = rng.poisson(np.exp(eta) * (rng.gamma(1.0, 1.0, eta.shape) if family == "negative_binomial" else 1.0))
    return (counts > 1 if family == "binomial" else counts).astype(float)


@pytest.mark.parametrize("family", ["poisson", "binomial", "negative_binomial"])
def test_evaluations_are_those_of_double_precision(family):
    """Values of the log-likelihood are known to some 2e-5 here, and the last steps promise less: 200 evaluations were made in vain."""
    ids, x = np.repeat(np.arange(20), 10), np.random.default_rng(0).normal(size=200)
    y = outcomes(family, ids, x)
    data = pd.DataFrame({"y": y[0], "x": x, "treatment": ids % 2, "id": ids})
    found = []
    for is_double in (True, False):
        with jax.enable_x64(is_double):
            design = gj.make_design("y ~ x + treatment", random="~ 1 | id", data=data, family=family)
            fit = jax.jit(jax.vmap(lambda y, design=design: gj.fit_params(design.with_outcome(y), design.family)))
            found.append(jax.tree.map(np.asarray, fit(jnp.asarray(y))))
    (double, of_double), (single, of_single) = found
    inside = of_double.code == Code.CONVERGED
    assert inside.mean() > 0.8
    assert (of_single.code[inside] == Code.CONVERGED).all()
    assert of_single.n_evaluations.max() <= 1.5 * of_double.n_evaluations.max()
    assert np.median(of_single.n_evaluations) <= 1.5 * np.median(of_double.n_evaluations)
    errors = np.sqrt(np.diagonal(np.linalg.inv(-of_double.hessian[inside]), axis1=1, axis2=2))[:, :3]
    assert (np.abs(single.beta - double.beta)[inside] / errors).max() < 2e-3


@pytest.mark.parametrize("name", ["o01", "o04", "o10", "o30", "o57"])
def test_reference_cases_take_as_many_evaluations(name):
    case, found = load_case(name), []
    for is_double in (True, False):
        with jax.enable_x64(is_double):
            design = gj.make_design(**case.arguments)
            found.append(gj.fit_params(design.clusters, design.family, covariance=design.covariance, n_agq=7)[1])
    double, single = found
    assert Code(int(single.code)) is Code(int(double.code)) is Code.CONVERGED
    assert int(single.n_evaluations) <= 1.5 * int(double.n_evaluations)
    assert float(single.log_likelihood) == pytest.approx(float(double.log_likelihood), rel=1e-5)
