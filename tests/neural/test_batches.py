"""Minibatches of clusters, and the loss over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, RowsNotKeptError

FAMILY = gj.families.Poisson()


def uneven_data(m: int = 60) -> pd.DataFrame:
    """Clusters of 1 to 12 rows and one of 150, in no order, with weights."""
    draws = np.random.default_rng(3)
    sizes = np.append(draws.integers(1, 13, m - 1), 150)
    g = draws.permutation(np.repeat(np.arange(m), sizes))
    return pd.DataFrame(
        {"g": g, "x": draws.normal(size=len(g)), "t": draws.normal(size=len(g)), "y": draws.poisson(2.0, len(g)), "w": 1.0 + g % 3}
    )


@pytest.fixture(scope="module")
def design():
    with jax.enable_x64(True):
        return gj.make_design("y ~ x", random="~ t | g", data=uneven_data(), family="poisson", weights="w")


@pytest.fixture(scope="module")
def params():
    with jax.enable_x64(True):
        return gj.Params(beta=jnp.array([0.4, 0.2]), chol=jnp.array([[0.6, 0.0], [0.1, 0.3]]))


def values_of(design) -> np.ndarray:
    return np.sin(np.arange(len(design.row_labels), dtype=float))


def test_the_loss_is_that_of_an_offset(design, params):
    with jax.enable_x64(True):
        values = values_of(design)
        expected = -gj.log_likelihood(params, design.with_offset(values), FAMILY)
        np.testing.assert_allclose(gj.marginal_loss(values, params, design, FAMILY), expected, rtol=1e-14)


def test_batches_hold_each_cluster_as_the_design_does(design, params):
    """Sums over the batches of an epoch, by cluster: whatever stands in a batch has the log-likelihood that it has in the design."""
    with jax.enable_x64(True):
        values = values_of(design)
        by_cluster = np.asarray(gj.cluster_log_likelihoods(params, design.with_offset(values), FAMILY))
        weights = 1.0 + np.asarray(design.groups) % 3
        found, expected = [], []
        for batch in gj.cluster_batches(design, 20, 1):
            found.append(-gj.marginal_loss(values[batch.rows], params, batch, FAMILY))
            owners = np.asarray(uneven_data()["g"])[batch.rows]
            total = 0.0
            for bucket, places in zip(batch.clusters.buckets, batch.places, strict=True):
                labels = owners[places[:, 0, :]]
                index = np.array([design.groups.get_loc(label) for label in labels.ravel()]).reshape(labels.shape)
                ratio = np.where(bucket.cluster_weight > 0, bucket.cluster_weight / weights[index], 0.0)
                total += (ratio * weights[index] * by_cluster[index]).sum()
            expected.append(total)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_gradient_of_batches_is_unbiased(design, params):
    """The weights of each cluster over many epochs have the mean of its own weight: sums over batches then have that of the whole."""
    drawn = np.zeros(len(design.groups))
    n_epochs, n_batches = 200, 0
    owners = np.asarray(uneven_data()["g"])
    for epoch in range(n_epochs):
        for batch in gj.cluster_batches(design, 25, epoch):
            n_batches += 1
            for bucket, places in zip(batch.clusters.buckets, batch.places, strict=True):
                labels = owners[batch.rows[places[:, 0, :]]]
                np.add.at(drawn, [design.groups.get_loc(label) for label in labels.ravel()], np.ravel(bucket.cluster_weight))
    weights = 1.0 + np.asarray(design.groups) % 3
    # a cluster is in a batch or not: the standard error of its mean is below weight x sqrt(m / size / batches)
    assert np.abs(drawn / n_batches / weights - 1.0).max() < 4 * np.sqrt(len(weights) / 25 / n_batches)
    np.testing.assert_allclose(drawn.sum() / n_batches, weights.sum(), rtol=2e-2)


def test_batches_have_few_shapes_and_repeat_with_their_key(design):
    shapes = set()
    for key in (0, jax.random.key(5)):
        first, again = (list(gj.cluster_batches(design, 10, key)) for _ in range(2))
        assert [batch.rows.tolist() for batch in first] == [batch.rows.tolist() for batch in again]
        shapes |= {tuple(bucket.shape for bucket in batch.clusters.buckets) for batch in first}
        assert len({int(k) for batch in first for k in batch.rows}) == len(design.row_labels)  # each row in some batch
    assert len(shapes) == 1


def test_gradients_in_values_are_those_of_differences(design, params):
    with jax.enable_x64(True):
        batch = next(iter(gj.cluster_batches(design, 12, 0)))
        values = values_of(design)[batch.rows]
        loss = jax.jit(lambda v: gj.marginal_loss(v, params, batch, FAMILY))
        direction = np.cos(np.arange(len(values)))
        slope = jax.grad(loss)(jnp.asarray(values)) @ direction
        step = 1e-5
        np.testing.assert_allclose(slope, (loss(values + step * direction) - loss(values - step * direction)) / (2 * step), rtol=1e-8)


def test_a_network_may_run_in_another_precision(design, params):
    with jax.enable_x64(True):
        values = values_of(design)
        low = gj.marginal_loss(jnp.asarray(values, jnp.bfloat16), params, design, FAMILY)
        assert low.dtype == jnp.float64
        np.testing.assert_allclose(low, gj.marginal_loss(values, params, design, FAMILY), rtol=1e-2)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda n: np.zeros(3), r"have shape \(3,\), and there are \d+ rows"),
        (lambda n: np.zeros((n, 1)), r"take values\[:, 0\]"),
        (lambda n: np.zeros(n, int), "dtype int64"),
        (lambda n: "a", "must be floating-point numbers"),
        (lambda n: None, "must be floating-point numbers"),
        (lambda n: [], r"have shape \(0,\)"),
        (lambda n: [[0.0], [0.0, 1.0]], "must be an array"),
        (lambda n: np.zeros(n, complex), "dtype complex128"),
    ],
)
def test_values_of_another_form_are_refused(design, params, made, words):
    with pytest.raises(ArgumentError, match=words):
        gj.marginal_loss(made(len(design.row_labels)), params, design, FAMILY)


@pytest.mark.parametrize(
    ("size", "key", "words"),
    [(61, 0, "more than the 60 clusters"), (0, 0, "size=0"), (2.5, 0, "size=2.5"), (5, "a", "key='a'"), (5, -1, "key=-1")],
)
def test_batches_that_cannot_be_made_are_refused(design, size, key, words):
    with pytest.raises(ArgumentError, match=words):
        gj.cluster_batches(design, size, key)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning")
def test_a_stream_has_no_batches():
    fit = gj.mixed_model("y ~ x", "~ 1 | g", data=gj.stream([uneven_data().sort_values("g")]), family="poisson")
    with pytest.raises(RowsNotKeptError):
        gj.cluster_batches(fit.fitted_model.design, 5, 0)


def test_lists_and_columns_of_pandas_are_arrays(design, params):
    with jax.enable_x64(True):
        values = values_of(design)
        expected = gj.marginal_loss(values, params, design, FAMILY)
        for given in (values.tolist(), pd.Series(values), pd.array(values, dtype="Float64")):
            assert gj.marginal_loss(given, params, design, FAMILY) == expected
