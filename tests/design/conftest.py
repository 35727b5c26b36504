"""The table of the design tests, and 64-bit arrays for all of them."""

import jax
import numpy as np
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            "id": rng.permutation(np.repeat([f"s{k}" for k in range(12)], np.r_[np.full(11, 4), 16])),
            "sex": rng.choice(["male", "female"], n),
            "time": rng.uniform(0.1, 5.0, n),
            "x": rng.normal(size=n),
            "g": pd.Categorical(rng.choice(["low", "mid", "high"], n), ["low", "mid", "high", "never"]),
            "count": rng.poisson(3.0, n),
            "trials": np.uint8(10),
        },
        index=rng.permutation(n) + 100,
    )
    return frame.assign(y=rng.integers(0, 2, n), s=rng.integers(0, 11, n).astype(np.uint8))
