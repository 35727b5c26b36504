"""Every family from end to end: data are drawn by its own ``sample``, and the fit finds the parameters behind them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.xla.compiler_options import platform_in_force, run_once
from glmmjax.families import ConwayMaxwellPoisson
from glmmjax.likelihood.params import Theta
from tests.families.cases.simulated import BY_CLASS, parameters, simulated

pytestmark = pytest.mark.usefixtures("compile_quickly")

IN_SECONDS = ("gaussian",)  # the others take minutes to compile together
# of 200 terms a fit takes minutes; the largest count here is near 40, and the part of the law beyond 59 is below 1e-9
SHORTER = {"conway_maxwell_poisson": ConwayMaxwellPoisson(n_terms=60)}
ROWS = {name: row._replace(family=SHORTER.get(name, row.family)) for name, row in BY_CLASS.items()}
CASES = [pytest.param(row, id=name, marks=() if name in IN_SECONDS else pytest.mark.slow) for name, row in ROWS.items()]
N_SEEDS, N_CLUSTERS, CLUSTER_SIZE = 5, 300, 8
CONVERGED = [int(Code.CONVERGED), int(Code.CONVERGED_ON_BOUNDARY)]


@pytest.mark.parametrize("row", CASES)
def test_fits_find_the_parameters_behind_the_data(row):
    """Deviations in standard errors of the exact Hessian, the random intercept by the logarithm of its standard deviation."""
    with jax.enable_x64(True):
        designs = [simulated(row, N_CLUSTERS, CLUSTER_SIZE, seed) for seed in range(N_SEEDS)]
        design, truth = designs[0], parameters(row)
        clusters = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[d.clusters for d in designs])
        layout = Theta(len(truth.beta), design.covariance, len(truth.phi), len(truth.gamma))
        fit = jax.vmap(lambda c: gj.fit_params(c, design.family, covariance=design.covariance))
        params, info = jax.jit(fit, compiler_options=run_once(platform_in_force()))(clusters)
        found, behind = (np.array(jax.vmap(layout.vector)(p)) for p in (params, jax.tree.map(lambda leaf: leaf[None], truth)))
    assert np.isin(info.code, CONVERGED).all(), f"codes {info.code}, estimates {found.tolist()}"
    errors = np.sqrt(np.diagonal(np.linalg.inv(-np.asarray(info.hessian)), axis1=1, axis2=2)).copy()
    errors[:, layout.random] /= found[:, layout.random]
    for theta in (found, behind):
        theta[:, layout.random] = np.log(theta[:, layout.random])

    names = [*design.fixed_names, "log sd", *design.family.phi_names, *(f"zero part {name}" for name in design.zi_fixed_names)]
    deviations = (found - behind) / errors
    far = [f"{names[j]}, seed {seed}: {deviations[seed, j]:.2f}" for seed, j in np.argwhere(np.abs(deviations) > 3)]
    assert len(far) <= 1, f"more than 3 standard errors from the truth: {far}"
    means = dict(zip(names, (found - behind).mean(0) / np.sqrt((errors**2).mean(0) / N_SEEDS), strict=True))
    biased = {name: f"{mean:.2f}" for name, mean in means.items() if abs(mean) > 3}
    assert not biased, f"means over seeds, in their standard errors: {biased}"
