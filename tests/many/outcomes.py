"""Outcomes of one small design, for the tests of many fits."""

from typing import Any

import numpy as np
import pandas as pd

M, K = 15, 6


def design_rows() -> pd.DataFrame:
    """Covariates and clusters, without an outcome."""
    draws = np.random.default_rng(3)
    return pd.DataFrame({"x": draws.normal(size=M * K), "t": np.tile(np.arange(K) / K, M), "g": np.repeat(np.arange(M), K)})


def outcomes(family: str, n: int, seed: int = 1, spread: float = 0.8) -> pd.DataFrame:
    """(rows, n) outcomes, the last of them without an effect of the cluster."""
    data, draws = design_rows(), np.random.default_rng(seed)
    b = spread * draws.normal(size=(n, M))[:, data["g"]]
    b[-1] = 0.0
    eta = 0.6 + 0.4 * data["x"].to_numpy() + b
    drawn: Any = {
        "poisson": lambda: draws.poisson(np.exp(eta)),
        "negative_binomial": lambda: draws.negative_binomial(2, 2 / (2 + np.exp(eta))),
        "binomial": lambda: draws.binomial(1, 1 / (1 + np.exp(-eta))),
        "gaussian": lambda: eta + draws.normal(size=eta.shape),
    }[family]()
    return pd.DataFrame(drawn.T.astype(float)).add_prefix("gene")
