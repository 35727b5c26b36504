"""What ``test_training.py`` runs in a process of its own with two devices: ``python training.py FILE``."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import glmmjax as gj


def network(weights, x):
    return jnp.tanh(x @ weights["in"] + weights["bias"]) @ weights["out"]


def dropped(weights, x, key):
    return network(weights, x * jax.random.bernoulli(key, 0.8, x.shape))


def data():
    """Clusters of 1 to 9 rows, so that batches have several buckets and an odd number of blocks."""
    draws = np.random.default_rng(5)
    g = np.repeat(np.arange(90), draws.integers(1, 10, 90))
    x = draws.uniform(-1, 1, (len(g), 2))
    eta = 2 * np.sin(3 * x[:, 0]) + draws.normal(0, 1.2, 90)[g]
    return pd.DataFrame({"y": (draws.uniform(size=len(g)) < 1 / (1 + np.exp(-eta))) * 1.0, "g": g}), x


def main(file: str) -> None:
    frame, x = data()
    key = jax.random.key(0)
    found: dict[str, Any] = {}
    with jax.enable_x64(True):
        weights = {"in": jax.random.normal(key, (2, 8)), "bias": jnp.zeros(8), "out": 0.1 * jnp.ones(8)}
        model = gj.NeuralMixedModel("y ~ 1", "~ 1 | g", "binomial")
        for n, apply_training in ((1, None), (2, None), (2, dropped)):
            fit = model.fit(
                network, weights, frame, x, optimizer=optax.adam(0.02), epochs=3, batch=18, devices=n, apply_training=apply_training
            )
            name = f"{n}{'' if apply_training is None else ' dropped'}"
            found[f"{name}: losses"] = np.array([(epoch.loss, epoch.validation_loss) for epoch in fit.history])
            found[f"{name}: output"] = fit.network_output(x)
            found[f"{name}: variance"] = fit.mixed_model.cov_re.to_numpy()
            found[f"{name}: device"] = np.array(fit.mixed_model.convergence.device)
    np.savez(file, **found)


if __name__ == "__main__":
    main(sys.argv[1])
