"""The marginal likelihood against brute-force integration, its derivatives against differences, and what must not change it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.design.layout import grouping
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem, likelihood_with_hessian
from glmmjax.estimation.starting_values import starting_values
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.likelihood.gauss_hermite import padded_rule, tensor_rule
from glmmjax.likelihood.marginal import _log_likelihood, log_likelihood_by_rule
from glmmjax.likelihood.params import Theta

pytestmark = pytest.mark.usefixtures("compile_quickly")

BETA = np.array([-0.4, 0.6])
CHOL = {"~ 1 | id": np.array([[0.9]]), "~ x | id": np.array([[0.8, 0.0], [0.3, 0.5]])}
RANDOM = list(CHOL)
# the reference cases have integrals over two random effects of binary outcomes too
INTEGRALS = [("binomial", RANDOM[0]), ("poisson", RANDOM[0]), pytest.param("poisson", RANDOM[1], marks=pytest.mark.slow)]


def simulate(family, sizes, seed=1):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=cluster.size)
    eta = BETA[0] + BETA[1] * x + rng.normal(size=len(sizes))[cluster]
    y = rng.random(cluster.size) < scipy.special.expit(eta) if family == "binomial" else rng.poisson(np.exp(eta))
    return pd.DataFrame({"y": y.astype(float), "x": x, "id": cluster, "exposure": 0.1 * rng.normal(size=cluster.size)})


def anything(value) -> Any:
    """A value that the type checker lets pass as a mistake."""
    return value


def design_of(data, family, random, **keywords):
    return gj.make_design("y ~ x", random=random, data=data, family=family, **keywords)


def params_of(random):
    return gj.Params(jnp.asarray(BETA), jnp.asarray(CHOL[random]), jnp.zeros(0), jnp.zeros(0))


def log_density(family, y, eta):
    if family == "binomial":
        return scipy.stats.bernoulli.logpmf(y, scipy.special.expit(eta))
    return scipy.stats.poisson.logpmf(y, np.exp(eta))


def brute_force(data, family, random):
    """(m,) log integrals by scipy, sharing nothing with the library."""
    chol, values = CHOL[random], []
    for _, rows in data.groupby("id"):
        z = np.stack([np.ones(len(rows)), rows.x])[: chol.shape[0]]

        def integrand(*u, rows=rows, z=z):
            eta = BETA[0] + BETA[1] * rows.x.to_numpy() + z.T @ (chol @ np.array(u[::-1]))
            return np.exp(log_density(family, rows.y, eta).sum() + scipy.stats.norm.logpdf(u).sum())

        bounds = [(-8.5, 8.5)] * chol.shape[0]
        values.append(np.log(scipy.integrate.nquad(integrand, bounds, opts={"epsabs": 0.0, "epsrel": 1e-10, "limit": 200})[0]))
    return np.array(values)


@pytest.mark.parametrize(("family", "random"), INTEGRALS)
def test_brute_force(family, random):
    data = simulate(family, [1, 3, 5] if random == RANDOM[0] else [4, 3])
    with jax.enable_x64(True):
        design = design_of(data, family, random)
        values = gj.cluster_log_likelihoods(params_of(random), design.clusters, gj.families.resolve_family(family), n_agq=31)
        total = gj.log_likelihood(params_of(random), design.clusters, gj.families.resolve_family(family), n_agq=31)
    expected = brute_force(data, family, random)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(total, expected.sum(), rtol=0, atol=1e-8)


MIXED = [*list(range(1, 61, 7)), 60, 2, 2]


# few points, where the movement of mode and scale is most of what a wrong rule gets wrong; a rule of more is the same program
FEW = [("binomial", RANDOM[0], 1), ("binomial", RANDOM[1], 1), ("binomial", RANDOM[1], 5), ("poisson", RANDOM[1], 2)]
RULES = [("binomial", RANDOM[0], 5), *(pytest.param(*case, marks=pytest.mark.slow) for case in FEW)]


@pytest.mark.parametrize(("family", "random", "n_agq"), RULES)
def test_gradient_and_hessian_match_differences(family, random, n_agq):
    data = simulate(family, MIXED)
    resolved = gj.families.resolve_family(family)
    with jax.enable_x64(True):
        design = design_of(data, family, random)
        layout = layout_of(design)
        theta = layout.vector(params_of(random))
        f = jax.jit(lambda t: gj.log_likelihood(layout.params(t), design.clusters, resolved, n_agq))
        gradient, hessian = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
        by_value, by_gradient = differences(f, theta), differences(gradient, theta)
        np.testing.assert_allclose(gradient(theta), by_value, rtol=1e-6, atol=1e-6 * np.abs(by_value).max())
        np.testing.assert_allclose(hessian(theta), by_gradient, rtol=1e-6, atol=1e-6 * np.abs(by_gradient).max())


def differences(f, theta, h=2e-3):
    """Central differences with two Richardson steps, error O(h^6)."""

    def central(h):
        return np.array([(np.asarray(f(theta + h * e)) - np.asarray(f(theta - h * e))) / (2 * h) for e in np.eye(theta.size)])

    a, b, c = central(h), central(h / 2), central(h / 4)
    d, e = (4 * b - a) / 3, (4 * c - b) / 3
    return (16 * e - d) / 15


def layout_of(design):
    from glmmjax.likelihood.params import Theta

    return Theta(len(design.fixed_names), design.covariance)


def plain(family, n_agq=11, q=2):
    """The log-likelihood that JAX differentiates by itself."""
    return lambda params, clusters: log_likelihood_by_rule(params, clusters, family, tensor_rule(n_agq, q))


def test_blockwise_gradient_is_the_gradient():
    """What a fit uses (blocks, traced number of nodes, warm modes) is the gradient that JAX finds by itself."""
    data = simulate("poisson", MIXED)
    family = gj.families.Poisson()
    with jax.enable_x64(True):
        design, params = design_of(data, family, RANDOM[1]), params_of(RANDOM[1])
        modes = start_modes(design.clusters.buckets, 2)
        at = jax.jit(value_and_gradient, static_argnums=2)(params, design.clusters.buckets, family, padded_rule(11, 2), modes)
        value, gradient = jax.jit(jax.value_and_grad(plain(family)))(params, design.clusters)
    np.testing.assert_allclose(at.value, value, rtol=1e-13)
    np.testing.assert_allclose(at.gradient.beta, gradient.beta, rtol=1e-10)
    np.testing.assert_allclose(at.gradient.chol, gradient.chol, rtol=1e-10)
    assert float(at.mode_error) < 1e-20


@pytest.mark.slow  # two programs with derivatives of derivatives
def test_derivatives_in_parameters_alone_have_a_rule_of_their_own():
    """Gradient, one direction, many points at once, and the gradient's derivative in weights, against what JAX finds by itself."""
    data, family = simulate("poisson", MIXED), gj.families.Poisson()
    with jax.enable_x64(True):
        design, params = design_of(data, family, RANDOM[1]), params_of(RANDOM[1])
        public = lambda params, clusters: gj.log_likelihood(params, clusters, family)  # noqa: E731
        weights, points = jnp.ones(len(MIXED)), jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), params)

        def all_of(f):
            by_weight = lambda w: jax.grad(f)(params, design.with_weights(w)).beta[1]  # noqa: E731
            along = jax.jvp(lambda params: f(params, design.clusters), (params,), (jax.tree.map(jnp.ones_like, params),))
            both = jax.grad(lambda params, w: f(params, design.with_weights(w)), argnums=(0, 1))(params, weights)
            return jax.vmap(jax.grad(f), (0, None))(points, design.clusters), along, both, jax.grad(by_weight)(weights)

        found, expected = jax.jit(lambda: (all_of(public), all_of(plain(family))))()
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_gradient_takes_no_memory_by_the_number_of_rows():
    """Beside the data themselves: four times as many clusters take the same."""

    def working_memory(m):
        data = simulate("poisson", [5] * m)
        with jax.enable_x64(True):
            design, params = design_of(data, "poisson", RANDOM[0]), params_of(RANDOM[0])
            run = jax.jit(jax.value_and_grad(lambda params, clusters: gj.log_likelihood(params, clusters, "poisson")))
            analysis: Any = run.lower(params, design.clusters).compile().memory_analysis()
            return analysis.temp_size_in_bytes, design.clusters.buckets[0].shape

    (few, shape), (many, more) = working_memory(2_000), working_memory(8_000)
    assert more[0] > 2 * shape[0]  # blocks
    assert many < 1.5 * few


def test_gradient_in_the_data():
    """An offset made by another JAX program gets its exact gradient."""
    data = simulate("binomial", [3, 4, 5])
    family = gj.families.Binomial()
    with jax.enable_x64(True):
        design, params = design_of(data, family, RANDOM[0]), params_of(RANDOM[0])

        def f(shift):
            buckets = tuple(b._replace(offset=b.offset + shift * b.X[0][:, 1:2]) for b in design.clusters.buckets)
            return gj.log_likelihood(params, design.clusters._replace(buckets=buckets), family)

        np.testing.assert_allclose(jax.grad(f)(0.2), differences(lambda t: f(t[0]), jnp.array([0.2]))[0], rtol=1e-6)


def test_padding_order_and_blocks_change_nothing():
    data = simulate("binomial", MIXED)
    family, random = gj.families.Binomial(), RANDOM[1]
    weights = dict(zip(range(len(MIXED)), np.linspace(0.5, 2.0, len(MIXED)), strict=True))
    with jax.enable_x64(True):
        variants = {
            "plain": design_of(data, family, random, weights=weights),
            "small blocks": design_of(data, family, random, weights=weights, options=gj.Options(max_block_rows=64)),
            "rows shuffled": design_of(data.sample(frac=1.0, random_state=3), family, random, weights=weights),
            "clusters reversed": design_of(data.iloc[::-1], family, random, weights=weights),
        }
        results = {}
        for name, design in variants.items():
            total, gradient = jax.value_and_grad(gj.log_likelihood)(params_of(random), design.clusters, family)
            clusters = gj.cluster_log_likelihoods(params_of(random), design.clusters, family)
            results[name] = (total, gradient, pd.Series(np.asarray(clusters), index=design.groups).sort_index())
    total, gradient, clusters = results.pop("plain")
    np.testing.assert_allclose(total, (clusters * pd.Series(weights)).sum(), rtol=1e-13)
    for other_total, other_gradient, other_clusters in results.values():
        np.testing.assert_allclose(other_total, total, rtol=0, atol=1e-10)
        np.testing.assert_allclose(other_gradient.beta, gradient.beta, rtol=0, atol=1e-10)
        np.testing.assert_allclose(other_gradient.chol, gradient.chol, rtol=0, atol=1e-10)
        np.testing.assert_allclose(other_clusters, clusters, rtol=0, atol=1e-10)


def lanes_of_four(sizes):
    """One bucket, in which clusters span lanes of 4 rows."""
    return np.array([sizes.max()]), np.array([4]), 0


@pytest.mark.slow
def test_clusters_that_span_lanes_give_the_same_numbers(monkeypatch):
    data, family, random = simulate("binomial", MIXED), gj.families.Binomial(), RANDOM[1]
    weights = dict(zip(range(len(MIXED)), np.linspace(0.5, 2.0, len(MIXED)), strict=True))
    problem = Problem(family, Theta(len(BETA), BlockDiagonal((2,))))
    results = []
    for spans_lanes in (False, True):
        if spans_lanes:
            monkeypatch.setattr(grouping, "choose_layout", lanes_of_four)
        with jax.enable_x64(True):
            design = design_of(data, family, random, weights=weights)
            assert (design.clusters.buckets[-1].lane_clusters is not None) == spans_lanes
            params, rule = params_of(random), padded_rule(5, 2)
            theta = problem.layout.vector(params)
            modes = start_modes(design.clusters.buckets, 2)
            at, hessian = jax.jit(likelihood_with_hessian, static_argnums=0)(problem, theta, design.clusters.buckets, rule, modes)
            total, gradient = jax.jit(jax.value_and_grad(lambda p, d=design: gj.log_likelihood(p, d.clusters, family, 5)))(params)
            start = jax.jit(starting_values, static_argnums=0)(problem, design.clusters.buckets)
            clusters = jax.jit(lambda p, d=design: gj.cluster_log_likelihoods(p, d.clusters, family, 5))(params)
            found = [at.log_likelihood, at.gradient, hessian, total, problem.layout.vector(gradient), *start, clusters]
            results.append([np.asarray(value) for value in found])
    for plain, spanning in zip(*results, strict=True):
        np.testing.assert_allclose(spanning, plain, rtol=1e-9, atol=1e-9)


def test_one_long_cluster_gets_a_width_of_its_own():
    data = simulate("binomial", [9000] + [5] * 70)
    family = gj.families.Binomial()
    with jax.enable_x64(True):
        design = design_of(data, family, RANDOM[0])
        apart = gj.cluster_log_likelihoods(params_of(RANDOM[0]), design.clusters, family)
        alone = design_of(data[data.id > 0], family, RANDOM[0])
        np.testing.assert_allclose(apart[1:], gj.cluster_log_likelihoods(params_of(RANDOM[0]), alone.clusters, family), rtol=1e-12)
    assert len(design.clusters.buckets) == 2
    assert sum(b.row_weight.size for b in design.clusters.buckets) < 4 * len(data)


def test_singular_covariance_is_an_ordinary_point():
    data = simulate("binomial", [3, 4, 5])
    family = gj.families.Binomial()
    with jax.enable_x64(True):
        design = design_of(data, family, RANDOM[1])
        nothing = gj.Params(jnp.asarray(BETA), jnp.zeros((2, 2)), jnp.zeros(0), jnp.zeros(0))
        value, gradient = jax.value_and_grad(gj.log_likelihood)(nothing, design.clusters, family)
    eta = BETA[0] + BETA[1] * data.x
    np.testing.assert_allclose(value, log_density("binomial", data.y, eta).sum(), rtol=1e-12)
    np.testing.assert_allclose(gradient.chol, 0.0, atol=1e-10)  # even in every column of L


def test_float32_process_is_left_alone():
    """The public functions follow the caller's precision and every transformation works there."""
    assert jnp.zeros(()).dtype == jnp.float32
    data = simulate("binomial", [3, 4, 5])
    family = gj.families.Binomial()
    design = design_of(data, family, RANDOM[0])
    params = gj.Params(jnp.asarray(BETA), jnp.asarray(CHOL[RANDOM[0]]), jnp.zeros(0), jnp.zeros(0))
    f = lambda b: gj.log_likelihood(params._replace(beta=b), design.clusters, family)  # noqa: E731
    value, gradient, hessian = (jax.jit(g)(params.beta) for g in (f, jax.grad(f), jax.hessian(f)))
    batch = jax.jit(jax.vmap(f))(jnp.stack([params.beta, 2 * params.beta]))
    assert value.dtype == gradient.dtype == hessian.dtype == batch.dtype == jnp.float32
    with jax.enable_x64(True):
        exact = design_of(data, family, RANDOM[0])
        params64 = params_of(RANDOM[0])
        f64 = lambda b: gj.log_likelihood(params64._replace(beta=b), exact.clusters, family)  # noqa: E731
        np.testing.assert_allclose(value, jax.jit(f64)(params64.beta), rtol=1e-5)
        np.testing.assert_allclose(gradient, jax.jit(jax.grad(f64))(params64.beta), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(hessian, jax.jit(jax.hessian(f64))(params64.beta), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(batch[0], value, rtol=1e-6)
    assert jnp.zeros(()).dtype == jnp.float32


def test_a_rule_used_in_32_bits_is_exact_in_64(intro_binomial):
    """JAX keeps the constants that it makes of arrays: those of a rule must not stay in the precision that came first."""
    family, n_agq = gj.families.Binomial(), 13  # a rule that no other test has used
    make = functools.partial(gj.make_design, "y ~ sex * time", random="~ 1 | id", data=intro_binomial, family=family)
    params = gj.Params(beta=anything(np.array([-2.6, -1.3, 0.28, 0.04])), chol=anything(np.array([[2.0]])))
    assert gj.log_likelihood(params, make().clusters, family, n_agq=n_agq).dtype == jnp.float32
    with jax.enable_x64(True):
        again = gj.log_likelihood(params, make().clusters, family, n_agq=n_agq)
        rule = tensor_rule(n_agq, 1)
        fresh = log_likelihood_by_rule(params, make().clusters, family, jax.tree.map(jnp.asarray, rule))
    assert float(again) == pytest.approx(float(fresh), abs=1e-10)


def test_estimates_of_a_fit_serve_a_float32_process():
    """Parameters take the dtype of the data, whatever a fit in float64 left them in."""
    data = simulate("binomial", [3, 4, 5])
    design = design_of(data, "binomial", RANDOM[0])
    estimates = gj.Params(jnp.asarray(BETA), anything(CHOL[RANDOM[0]]), np.zeros(0), np.zeros(0))
    gradient = jax.grad(gj.log_likelihood)(estimates, design.clusters, "binomial")
    assert gradient.beta.dtype == jnp.float32


def test_pure_functions_name_what_does_not_fit():
    design = design_of(simulate("binomial", [3, 4, 5]), "binomial", RANDOM[0])
    good = params_of(RANDOM[0])
    with pytest.raises(ArgumentError, match=r"clusters=<Design> must be a ClusterData, such as design\.clusters"):
        gj.log_likelihood(good, anything(design), "binomial")
    with pytest.raises(ArgumentError, match=r"params.chol has shape \(2, 2\); these clusters and the binomial family need \(1, 1\)"):
        gj.log_likelihood(params_of(RANDOM[1]), design.clusters, "binomial")
    with pytest.raises(ArgumentError, match="n_agq='auto' must be a whole number from 1"):
        gj.cluster_log_likelihoods(good, design.clusters, "binomial", n_agq=anything("auto"))
    with pytest.raises(ArgumentError, match="family='probit' is not known"):
        gj.fit_params(design.clusters, "probit")
    with pytest.raises(ArgumentError, match="penalty=True must be None, or a StudentTPenalty"):
        gj.fit_params(design.clusters, "binomial", penalty=anything(True))
    with pytest.raises(ArgumentError, match=r"init.beta has shape \(3,\); these clusters and the binomial family need \(2,\)"):
        gj.fit_params(design.clusters, "binomial", init=gj.Params(jnp.zeros(3), jnp.eye(1)))


def test_float64_data_outside_its_context():
    """Arrays of a float64 fit, used in a float32 process, are brought to the precision in force and not mixed with it."""
    with jax.enable_x64(True):
        clusters, params = design_of(simulate("binomial", [3, 4, 5]), "binomial", RANDOM[0]).clusters, params_of(RANDOM[0])
    value, gradient = jax.value_and_grad(lambda beta: gj.log_likelihood(params._replace(beta=beta), clusters, "binomial"))(
        jnp.asarray(BETA)
    )
    assert value.dtype == gradient.dtype == jnp.float32


def test_eager_calls_trace_once():
    design = design_of(simulate("binomial", [3, 4, 5]), "binomial", RANDOM[0])
    gj.log_likelihood(params_of(RANDOM[0]), design.clusters, "binomial")
    compiled: Any = _log_likelihood
    before = compiled._cache_size()
    gj.log_likelihood(params_of(RANDOM[0]), design.clusters, "binomial")
    assert compiled._cache_size() == before
