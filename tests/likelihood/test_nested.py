"""The likelihood of nested clusters against sums over dense grids of both levels, and against closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import glmmjax as gj
from glmmjax.design import make_design
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.covariance import of_levels
from glmmjax.likelihood.params import layout_of, predictor_sizes
from glmmjax.likelihood.prior import law_of
from glmmjax.likelihood.quadrature import Quadrature

pytestmark = pytest.mark.usefixtures("compile_quickly")

OUTCOMES = {
    "binomial": (lambda rng, eta: rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))), []),
    "poisson": (lambda rng, eta: rng.poisson(np.exp(eta)), []),
    "negative_binomial": (lambda rng, eta: rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta))), [0.4]),
    "gamma": (lambda rng, eta: rng.gamma(2.0, np.exp(eta) / 2.0) + 1e-3, [0.3]),
    "student_t": (lambda rng, eta: eta + rng.standard_t(4, len(eta)), [-0.2]),
}


def nested_data(family: str, seed: int = 5) -> pd.DataFrame:
    """Schools with one to three classes of one to five pupils; labels of classes repeat."""
    rng = np.random.default_rng(seed)
    sizes = [(s, c, n) for s, classes in enumerate([[2, 4, 1], [3], [5, 2], [1, 1, 3]]) for c, n in enumerate(classes)]
    school, class_ = (np.repeat([row[k] for row in sizes], [row[2] for row in sizes]) for k in (0, 1))
    x = rng.normal(size=len(school))
    eta = 0.2 + 0.5 * x + rng.normal(size=4)[school] + 0.7 * rng.normal(size=(4, 3))[school, class_]
    order = rng.permutation(len(x))  # rows of a class need not stand together
    return pd.DataFrame({"y": OUTCOMES[family][0](rng, eta), "x": x, "school": school, "class": class_}).iloc[order]


def dense_sum(params: gj.Params, data: pd.DataFrame, design, n_upper: int, steps: int):
    """Log-likelihood by the trapezoidal rule on a grid from -8 to 8 in every random effect; JAX differentiates it."""
    grid = np.linspace(-8.0, 8.0, steps)
    q = params.chol.shape[0]

    def nodes(n: int):
        points = jnp.array(list(itertools.product(grid, repeat=n))).T
        return points, jax.scipy.stats.norm.logpdf(points).sum(0) + n * np.log(grid[1] - grid[0])

    (u, log_u), (v, log_v) = nodes(n_upper), nodes(q - n_upper)
    phi = jnp.asarray(params.phi)
    columns = np.column_stack([np.ones(len(data)), data["x"]])
    z = {1: columns[:, :1], 2: columns}
    total = jnp.zeros(())
    for _, of_school in data.reset_index(drop=True).groupby("school"):
        at_u = log_u
        for _, rows in of_school.groupby("class"):
            index = rows.index.to_numpy()
            upper = z[n_upper][index] @ params.chol[:n_upper, :n_upper] @ u
            lower = z[q - n_upper][index] @ params.chol[n_upper:, n_upper:] @ v
            eta = (columns[index] @ params.beta)[:, None, None] + upper[:, :, None] + lower[:, None, :]
            y = jnp.asarray(rows["y"].to_numpy(float))[:, None, None]
            density = design.family.log_density(y, eta, phi.reshape(-1, 1, 1, 1))
            at_u = at_u + jax.scipy.special.logsumexp(density.sum(0) + log_v, axis=1)
        total = total + jax.scipy.special.logsumexp(at_u)
    return total


def point(family: str, n_upper: int, n_lower: int) -> gj.Params:
    rng = np.random.default_rng(9)
    chol = np.zeros((n_upper + n_lower,) * 2)
    for first, n, scale in ((0, n_upper, 0.8), (n_upper, n_lower, 0.6)):
        chol[first : first + n, first : first + n] = scale * (np.eye(n) + 0.3 * np.tril(rng.normal(size=(n, n))))
    return gj.Params(jnp.array([0.3, 0.4]), jnp.array(chol), jnp.array(OUTCOMES[family][1]))


def formula(n_upper: int, n_lower: int) -> str:
    return f"y ~ x + ({'x' if n_upper == 2 else 1} | school) + ({'x' if n_lower == 2 else 1} | school:class)"


def evaluated(params: gj.Params, design, n_points: int):
    """Value and gradient as fits compute them, by rules of traced length."""
    buckets, levels = design.clusters.buckets, design.clusters.buckets[0].levels
    q = params.chol.shape[0]
    rule = Quadrature(n_points).padded(q, law_of(levels))
    return value_and_gradient(params, buckets, design.family, rule, start_modes(buckets, q), prior=law_of(levels))


@pytest.mark.parametrize("family", [name if name == "binomial" else pytest.param(name, marks=pytest.mark.slow) for name in OUTCOMES])
def test_value_gradient_and_hessian_are_those_of_a_dense_sum(family):
    data = nested_data(family)
    with jax.enable_x64(True):
        design, params = make_design(formula(1, 1), data=data, family=family), point(family, 1, 1)
        layout = layout_of(design.family, predictor_sizes(design.clusters), of_levels(2, design.clusters.buckets[0].levels))
        theta = layout.vector(params)
        dense = jax.jit(lambda t: dense_sum(layout.params(t), data, design, 1, 241))

        def gradient(t):
            found = evaluated(layout.params(t), design, 25)
            return layout.gradient(t, found.gradient), found.value

        hessian, value = jax.jit(jax.jacfwd(gradient, has_aux=True))(theta)
        assert float(value) == pytest.approx(float(dense(theta)), abs=1e-8)
        np.testing.assert_allclose(jax.jit(gradient)(theta)[0], jax.grad(dense)(theta), atol=1e-6)
        np.testing.assert_allclose(hessian, jax.hessian(dense)(theta), atol=1e-5)
        assert float(gj.log_likelihood(params, design.clusters, design.family, n_agq=25)) == pytest.approx(float(value), abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(2, 1), (1, 2), (2, 2)])
def test_two_effects_of_a_level(sizes):
    data = nested_data("binomial")
    with jax.enable_x64(True):
        design, params = make_design(formula(*sizes), data=data, family="binomial"), point("binomial", *sizes)
        found = evaluated(params, design, 13)
        assert float(found.value) == pytest.approx(float(dense_sum(params, data, design, sizes[0], 41)), abs=1e-6)
        assert found.mode_error < 1e-12


@pytest.mark.parametrize("n_points", [1, 4])
def test_the_gradient_is_that_of_the_value_at_few_points(n_points):
    with jax.enable_x64(True):
        design, params = make_design(formula(1, 1), data=nested_data("poisson"), family="poisson"), point("poisson", 1, 1)
        value = jax.jit(lambda p: gj.log_likelihood(p, design.clusters, "poisson", n_agq=n_points))
        gradient = jax.jit(lambda p: evaluated(p, design, n_points).gradient)(params)
        for name in ("beta", "chol"):
            at = np.asarray(getattr(params, name))
            for place in [(0,), (1,)] if name == "beta" else [(0, 0), (1, 1)]:
                step = np.zeros_like(at)
                step[place] = 1e-5
                ends = [value(params._replace(**{name: jnp.array(at + sign * step)})) for sign in (1.0, -1.0)]
                assert float(getattr(gradient, name)[place]) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, abs=1e-7)


def test_one_point_is_exact_for_normal_outcomes():
    rng, data = np.random.default_rng(2), nested_data("binomial")
    data["y"] = rng.normal(size=len(data))
    with jax.enable_x64(True):
        design, params = make_design(formula(1, 1), data=data, family="gaussian"), point("binomial", 1, 1)
        params = params._replace(phi=jnp.array([np.log(0.9)]))
        found = gj.cluster_log_likelihoods(params, design.clusters, "gaussian", n_agq=1)
    expected = []
    for label in design.groups:
        rows = data[data["school"] == label]
        same = rows["class"].to_numpy()[:, None] == rows["class"].to_numpy()
        cov = float(params.chol[0, 0]) ** 2 + float(params.chol[1, 1]) ** 2 * same + 0.81 * np.eye(len(rows))
        expected.append(scipy.stats.multivariate_normal.logpdf(rows["y"], 0.3 + 0.4 * rows["x"], cov))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_without_variance_between_schools_classes_are_all_there_is():
    data = nested_data("poisson")
    data["pair"] = data["school"].astype(str) + "/" + data["class"].astype(str)
    with jax.enable_x64(True):
        two, one = (make_design("y ~ x", random=f"~ 1 | {group}", data=data, family="poisson") for group in ("school/class", "pair"))
        params = point("poisson", 1, 1)
        nothing = params._replace(chol=params.chol.at[0, 0].set(0.0))
        of_one = params._replace(chol=params.chol[1:, 1:])
        found, expected = (float(gj.log_likelihood(*pair, "poisson")) for pair in ((nothing, two.clusters), (of_one, one.clusters)))
    assert found == pytest.approx(expected, abs=1e-8)


def test_order_of_rows_and_clusters_and_block_sizes_change_nothing():
    data = nested_data("binomial")
    with jax.enable_x64(True):
        params, values = point("binomial", 1, 1), []
        for frame, rows in ((data, 2048), (data.sample(frac=1.0, random_state=3), 2048), (data, 3)):
            design = make_design(formula(1, 1), data=frame, family="binomial", options=gj.Options(max_block_rows=rows))
            found = pd.Series(gj.cluster_log_likelihoods(params, design.clusters, "binomial"), index=design.groups)
            values.append(found.sort_index())
    np.testing.assert_allclose(values[1], values[0], atol=1e-12)
    np.testing.assert_allclose(values[2], values[0], atol=1e-12)


def test_it_can_be_mapped():
    with jax.enable_x64(True):
        design, params = make_design(formula(1, 1), data=nested_data("poisson"), family="poisson"), point("poisson", 1, 1)
        many = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), params)
        found = jax.vmap(lambda p: gj.log_likelihood(p, design.clusters, "poisson", n_agq=5))(many)
        alone = [gj.log_likelihood(jax.tree.map(lambda leaf, k=k: leaf[k], many), design.clusters, "poisson", n_agq=5) for k in (0, 1)]
    np.testing.assert_allclose(found, alone, atol=1e-11)
