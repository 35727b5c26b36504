"""Training in single precision beside training in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import glmmjax as gj

pytestmark = pytest.mark.usefixtures("compile_quickly")


def network(weights, x):
    return jnp.tanh(x @ weights["in"] + weights["bias"]) @ weights["out"]


@pytest.mark.slow
def test_variance_components_of_single_precision_are_those_of_double():
    draws = np.random.default_rng(4)
    g, x = np.repeat(np.arange(300), 8), draws.uniform(-1, 1, (2400, 2))
    b = draws.normal(size=(300, 2)) * [1.2, 0.6]
    eta = 2 * np.sin(3 * x[:, 0]) + b[g, 0] + b[g, 1] * x[:, 1]
    data = pd.DataFrame({"y": (draws.uniform(size=2400) < 1 / (1 + np.exp(-eta))) * 1.0, "z": x[:, 1], "g": g})
    model = gj.NeuralMixedModel("y ~ z", "~ z | g", "binomial", n_agq=7, n_agq_training=5)
    start = {"in": draws.normal(size=(2, 16)), "bias": np.zeros(16), "out": np.zeros(16)}

    def variances(dtype):
        weights = {name: jnp.asarray(value, dtype) for name, value in start.items()}
        fit = model.fit(network, weights, data, x.astype(dtype), optimizer=optax.adam(0.02), epochs=20, batch=50, early_stopping=20)
        assert fit.network["in"].dtype == dtype
        return np.diag(fit.mixed_model.cov_re)

    single = variances(np.float32)
    with jax.enable_x64(True):
        double = variances(np.float64)
    np.testing.assert_allclose(single, double, rtol=5e-3)
