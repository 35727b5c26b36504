"""``NeuralMixedModel``: training, the certified end, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, ConvergenceWarning, OutcomeError

pytestmark = pytest.mark.usefixtures("compile_quickly")
MODEL = ("y ~ 1", "~ 1 | g", "binomial")


def curved(m: int = 150, rows: int = 8, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    """A predictor 2 sin(3 x) and clusters with standard deviation 1."""
    draws = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(m), rows), draws.uniform(-1, 1, (m * rows, 2))
    eta = 2 * np.sin(3 * x[:, 0]) + draws.normal(size=m)[g]
    return pd.DataFrame({"g": g, "y": (draws.uniform(size=len(g)) < 1 / (1 + np.exp(-eta))).astype(float)}), x.astype(np.float32)


def weights(key: int = 0, hidden: int = 16):
    return {"in": jax.random.normal(jax.random.key(key), (2, hidden)), "bias": jnp.zeros(hidden), "out": jnp.zeros(hidden)}


def network(w, x):
    return jnp.tanh(x @ w["in"] + w["bias"]) @ w["out"]


def features(w, x):
    return x @ w["in"]


@pytest.fixture(scope="module")
def fit():
    data, x = curved()
    return gj.NeuralMixedModel(*MODEL).fit(network, weights(), data, x, optimizer=optax.adam(0.03), epochs=25, batch=30)


def test_training_finds_the_curve(fit):
    grid = np.stack([np.linspace(-1, 1, 41), np.zeros(41)], axis=1).astype(np.float32)
    found = fit.network_output(grid)
    assert np.corrcoef(found, 2 * np.sin(3 * grid[:, 0]))[0, 1] > 0.97
    losses = [epoch.validation_loss for epoch in fit.history]
    assert min(losses) < losses[0]
    data, x = curved()
    straight = gj.mixed_model("y ~ x1 + x2", random="~ 1 | g", data=data.assign(x1=x[:, 0], x2=x[:, 1]), family="binomial")
    assert fit.mixed_model.llf > straight.llf + 10


def test_the_end_is_the_ordinary_fit_with_the_network_as_offset(fit):
    data, x = curved()
    plain = gj.mixed_model("y ~ 1", random="~ 1 | g", data=data, family="binomial", offset=fit.network_output(x))
    assert fit.mixed_model.converged
    np.testing.assert_allclose(fit.mixed_model.llf, plain.llf, rtol=1e-12)
    np.testing.assert_allclose(fit.mixed_model.cov_re, plain.cov_re, rtol=1e-10)
    np.testing.assert_allclose(fit.mixed_model.cov_params(), plain.cov_params(), rtol=1e-8)
    pd.testing.assert_frame_equal(fit.random_effects, fit.mixed_model.random_effects)


def test_predictions_and_score(fit):
    data, x = curved(seed=2)
    offset = fit.network_output(x)
    table = data.assign(network=offset)
    for kind in ("marginal", "subject_specific", "mean_subject"):
        pd.testing.assert_series_equal(fit.predict(data, x, kind=kind), fit.mixed_model.predict(table, kind=kind))
    design = gj.make_design("y ~ 1", random="~ 1 | g", data=table, family="binomial", offset="network")
    params = fit.mixed_model.params
    expected = float(gj.log_likelihood(jax.tree.map(np.float32, params), design.clusters, "binomial", 11)) / 150
    np.testing.assert_allclose(fit.score(data, x), expected, rtol=1e-4)


def test_a_linear_network_gives_the_ordinary_estimates():
    """Its last layer is estimated, and so its features are columns of an ordinary fit: any basis of the same span."""
    data, x = curved()
    w = {"in": jnp.array([[1.0, 0.5], [0.0, 1.0]])}
    fit = gj.NeuralMixedModel(*MODEL).fit(features, w, data, x, epochs=2, batch=30)
    mixed = fit.network["in"]
    plain = gj.mixed_model("y ~ x1 + x2", random="~ 1 | g", data=data.assign(x1=x[:, 0], x2=x[:, 1]), family="binomial")
    assert list(fit.mixed_model.fe_params.index) == ["Intercept", "network_1", "network_2"]
    np.testing.assert_allclose(fit.mixed_model.llf, plain.llf, rtol=0, atol=1e-5)  # the network is float32
    np.testing.assert_allclose(mixed @ fit.mixed_model.fe_params.to_numpy()[1:], plain.fe_params.to_numpy()[1:], atol=1e-6)
    np.testing.assert_allclose(fit.mixed_model.cov_re, plain.cov_re, atol=1e-6)
    np.testing.assert_allclose(
        fit.mixed_model.tidy(effects="all")["std.error"].iloc[-1], plain.tidy(effects="all")["std.error"].iloc[-1], rtol=1e-4
    )


def test_features_that_others_give_have_no_coefficient():
    data, x = curved()
    given = lambda w, x: jnp.stack([x[:, 0], 2 * x[:, 0] + 1, jnp.zeros(len(x)), x[:, 1]], axis=1)  # noqa: E731
    fit = gj.NeuralMixedModel(*MODEL).fit(given, {"unused": jnp.zeros(1)}, data, x, epochs=1, batch=30)
    assert len(fit.mixed_model.fe_params) == 3
    assert "network_4" in fit.mixed_model.fe_params.index
    assert fit.mixed_model.converged
    assert len(fit.predict(data, x)) == len(data)


@pytest.mark.slow
def test_the_same_key_gives_the_same_fit_and_dropout_is_for_training_alone():
    data, x = curved(m=40)

    def dropped(w, x, key):
        return network(w, x * jax.random.bernoulli(key, 0.8, x.shape))

    run = lambda key: gj.NeuralMixedModel(*MODEL).fit(  # noqa: E731
        network, weights(), data, x, epochs=2, batch=10, validation=0.0, apply_training=dropped, key=key
    )
    first, again, other = run(3), run(jax.random.key(3)), run(4)
    np.testing.assert_array_equal(first.network["in"], again.network["in"])
    assert not np.array_equal(first.network["in"], other.network["in"])
    assert [epoch.validation_loss for epoch in first.history] == [None, None]


def test_missing_rows_are_left_out(fit):
    data, x = curved(m=40)
    data.loc[5, "y"] = np.nan
    found = gj.NeuralMixedModel(*MODEL).fit(network, weights(), data, x, epochs=1, batch=10)
    assert found.mixed_model.nobs == len(data) - 1


def test_steps_that_are_not_finite_are_left_out_and_told():
    data, x = curved(m=40)
    with (
        pytest.warns(ConvergenceWarning, match="steps of the training had a loss or a gradient that is not finite"),
        pytest.warns(ConvergenceWarning, match="finite in no epoch; the network is that before training"),
    ):
        fit = gj.NeuralMixedModel(*MODEL).fit(network, weights(), data, x, optimizer=optax.sgd(1e30), epochs=4, batch=10)
    assert fit.history[0].n_skipped
    for leaf, before in zip(jax.tree.leaves(fit.network), jax.tree.leaves(weights()), strict=True):
        np.testing.assert_array_equal(leaf, before)


def test_progress_and_files(tmp_path, fit):
    data, x = curved(m=40)
    seen: list[Any] = []
    model = gj.NeuralMixedModel(*MODEL)
    found = model.fit(network, weights(), data, x, epochs=2, batch=10, progress=seen.append)
    assert [record.epoch for record in seen] == [1, 2]
    assert "epoch 1 of 2, loss" in seen[0].text
    found.save(tmp_path / "net")
    assert gj.load(tmp_path / "net" / "mixed_model.glmmjax").llf == found.mixed_model.llf
    assert repr(found).startswith("<NeuralFit: 2 epochs; <MixedModelResults: binomial(logit), y ~ 1")


def bad_shape(w, x):
    return network(w, x)[:-1]


@pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning")  # of what comes before the error
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"inputs": np.zeros((3, 2))}, ArgumentError, r"shape \(3, 2\); its first axis must be the 320 rows"),
        ({"inputs": {}}, ArgumentError, "inputs have no array"),
        ({"inputs": [[0.0, 1.0]] * 320}, ArgumentError, r"inputs have single values, such as 0.0; .*numpy.asarray\(...\) for a list"),
        ({"inputs": "a"}, ArgumentError, "inputs have single values, such as 'a'"),
        ({"inputs": np.zeros((320, 2), complex)}, ArgumentError, "dtype complex128; a network takes numbers"),
        ({"apply": 3}, ArgumentError, "apply=3 must be a function"),
        ({"apply": lambda w, x: "a"}, ArgumentError, "apply gives 'a'; it must give an array"),
        ({"apply": lambda w, x: network(w, x) * jnp.inf}, ArgumentError, "apply gives values that are not finite"),
        ({"apply_training": 3}, ArgumentError, "apply_training=3 must be None, or a function"),
        ({"apply_training": lambda w, x, key: x}, ArgumentError, r"apply_training gives rows of shape \(2,\), and apply \(\)"),
        ({"init_params": {"in": np.ones((2, 16), int)}}, ArgumentError, "init_params have .* of dtype int64"),
        ({"init_params": {"in": "a"}}, ArgumentError, "init_params have 'a' of dtype"),
        ({"init_params": {**weights(), "more": np.sin}}, ArgumentError, "weights must be arrays of floating-point numbers"),
        ({"init_params": {**weights(), "out": jnp.full(16, jnp.nan)}}, ArgumentError, "init_params have numbers that are not finite"),
        ({"data": None}, ArgumentError, "data has type NoneType"),
        ({"inputs": np.full((320, 2), np.nan)}, ArgumentError, "not finite in row 0"),
        ({"inputs": np.full(320, "a")}, ArgumentError, "a network takes numbers"),
        (
            {"batch": 41},
            ArgumentError,
            "the data have 40, of which validation=0.1 holds back 4; take at most 36",
        ),
        ({"batch": 0}, ArgumentError, "batch=0"),
        ({"epochs": 0}, ArgumentError, "epochs=0"),
        ({"validation": 1.0}, ArgumentError, "validation=1.0"),
        ({"optimizer": "adam"}, ArgumentError, "optimizer='adam' must be an optax"),
        ({"optimizer": optax.adam}, ArgumentError, "must be an optax"),
        ({"apply": bad_shape}, ArgumentError, r"apply gives float32\[1\] for 2 rows of inputs"),
        ({"key": -1}, ArgumentError, "key=-1"),
        ({"data": curved(m=40)[0].assign(y=2.0)}, OutcomeError, "y"),
    ],
)
def test_bad_input_is_one_error(changes, error, words):
    data, x = curved(m=40)
    arguments = {"apply": network, "init_params": weights(), "data": data, "inputs": x, "epochs": 1, "batch": 10, **changes}
    with pytest.raises(error, match=words):
        gj.NeuralMixedModel(*MODEL).fit(**arguments)


@pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning")
@pytest.mark.parametrize("optimizer", [optax.lbfgs(), optax.chain(optax.adam(0.01), optax.contrib.reduce_on_plateau())])
def test_optimizers_that_take_the_loss(optimizer):
    data, x = curved(m=40)
    fit = gj.NeuralMixedModel(*MODEL).fit(network, weights(), data, x, optimizer=optimizer, epochs=3, batch=36)
    assert fit.history[-1].loss < fit.history[0].loss


def double(values):
    return 2 * values


def test_functions_of_the_caller_stand_in_the_formula():
    data, x = curved(m=40)
    fit = gj.NeuralMixedModel("y ~ double(t)", "~ 1 | g", "binomial").fit(network, weights(), data.assign(t=x[:, 1]), x, epochs=1, batch=10)
    assert "double(t)" in fit.mixed_model.fe_params.index


def test_new_rows_that_cannot_be_scored(fit):
    data, x = curved(m=40)
    some = data.assign(y=np.where(data.index < 8, np.nan, data["y"]))
    np.testing.assert_allclose(fit.score(some, x), fit.score(data.iloc[8:], x[8:]), rtol=1e-12)  # without the first cluster
    with pytest.raises(ArgumentError, match="newdata has a missing value in each of its 320 rows"):
        fit.score(data.assign(y=np.nan), x)
    with pytest.raises(ArgumentError, match="inputs have no array"):
        fit.network_output({})
    with pytest.raises(ArgumentError, match="n_agq_training=0 must be a whole number"):
        gj.NeuralMixedModel(*MODEL, n_agq_training=0)
    assert fit == fit
