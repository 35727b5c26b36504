"""Neural mixed models: the binary study of Simchoni and Rosset (2023, JMLR 24(156)), beside what they published and GPBoost's trees.

100,000 rows; ten inputs uniform on (-1, 1); ``a = 1 + sum of the inputs``, ``f = a cos(a) + 2 x0 x1``; one factor whose levels have
probabilities proportional to 1 + Poisson(3). 80 % of the rows are for training, the others are predicted; their clusters are known.
"""

from __future__ import annotations

import importlib.util
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from scipy.stats import rankdata

import glmmjax as gj
from benchmarks.machine import cores
from benchmarks.table import Table

__all__ = ["print_neural"]

_UNITS = (10, 100, 50, 25, 12, 1)
_EPOCHS, _RATE, _BATCHES = 60, 3e-3, 16
_PUBLISHED = {  # (levels, variance): estimated variance, area under the curve, seconds; means of five data sets
    (100, 0.1): (0.0802, 0.797, 503), (100, 1.0): (0.770, 0.818, 748), (100, 10.0): (3.64, 0.917, 564),
    (1_000, 0.1): (0.0931, 0.795, 645), (1_000, 1.0): (0.873, 0.825, 955), (1_000, 10.0): (3.59, 0.917, 1_050),
    (10_000, 0.1): (0.0976, 0.793, 1_703), (10_000, 1.0): (0.953, 0.804, 2_118), (10_000, 10.0): (5.35, 0.899, 2_012),
}  # fmt: skip


class _Found(NamedTuple):
    """What one data set shows."""

    drawn: float  # mean square of the random effects, weighted as the clusters are
    variance: float
    error: float  # standard error of the variance
    auc: float
    seconds: float
    is_certified: bool


class _Split(NamedTuple):
    """One data set, and the numbers of the rows for training and for prediction; clusters of the latter are known."""

    data: pd.DataFrame
    inputs: np.ndarray
    train: np.ndarray
    test: np.ndarray


def print_neural(n_seeds: int, n_rows: int = 100_000) -> None:
    """Each cell with ``n_seeds`` data sets."""
    columns: tuple[str, ...] = ("drawn", "estimated", "std error", "published", "AUC", "published", "seconds", "published", "certified")
    has_trees = importlib.util.find_spec("gpboost") is not None
    columns += ("GPBoost", "AUC", "seconds") if has_trees else ()
    table = Table(f"Neural mixed models, {n_rows:,} rows, means of {n_seeds} data sets", "levels, variance", *columns, label_width=18)
    for (levels, variance), published in _PUBLISHED.items():
        found, trees = [], []
        for seed in range(1, n_seeds + 1):
            split, drawn = _drawn(levels, variance, n_rows, seed)
            found.append(_fit(split, drawn, levels, seed))
            trees += [_trees(split, seed)] if has_trees else []
        means = _Found(*np.mean([list(map(float, one)) for one in found], axis=0))
        of_trees = np.mean(trees, axis=0) if has_trees else ()
        table.row(
            f"{levels:,}, {variance:g}",
            f"{means.drawn:.3f}", f"{means.variance:.3f}", f"{means.error:.3f}", f"{published[0]:.3f}",
            f"{means.auc:.4f}", f"{published[1]:.3f}",
            f"{means.seconds:.0f}", f"{published[2]:,}", f"{means.is_certified:.0%}",
            *(f"{value:{form}}" for value, form in zip(of_trees, (".3f", ".4f", ".0f"), strict=has_trees)),
        )  # fmt: skip


def _fit(split: _Split, drawn: float, levels: int, seed: int) -> _Found:
    data, inputs, train, test = split
    begun = time.perf_counter()
    fit = gj.NeuralMixedModel("y ~ 1", "~ 1 | g", "binomial").fit(
        _network, _weights(seed), data.iloc[train], inputs[train], optimizer=optax.adam(_RATE), epochs=_EPOCHS,
        batch=max(1, levels // _BATCHES), key=seed,
    )  # fmt: skip
    taken = time.perf_counter() - begun
    predicted = fit.predict(data.iloc[test], inputs[test], kind="subject_specific")
    errors = fit.mixed_model.tidy(effects="ran_pars")
    deviation = float(np.sqrt(fit.mixed_model.cov_re.to_numpy()[0, 0]))
    return _Found(
        drawn,
        deviation**2,
        2 * deviation * float(errors["std.error"].iloc[0]),
        _auc(data["y"].to_numpy()[test], predicted.to_numpy()),
        taken,
        fit.mixed_model.converged,
    )


def _trees(split: _Split, seed: int) -> tuple[float, float, float]:
    """Variance, area under the curve and seconds of GPBoost's trees, by Laplace's method; a tenth of the rows says how many trees."""
    import gpboost

    begun, (data, inputs, train, test) = time.perf_counter(), split
    y, g = data["y"].to_numpy(), data["g"].to_numpy()
    settings = {"objective": "bernoulli_logit", "learning_rate": 0.1, "max_depth": 6, "verbose": -1, "num_threads": cores(), "seed": seed}

    def boosted(rows: np.ndarray, n_trees: int, held: np.ndarray | None) -> tuple[Any, Any]:
        model = gpboost.GPModel(group_data=g[rows], likelihood="bernoulli_logit", num_parallel_threads=cores())
        sets: dict[str, Any] = {}
        if held is not None:
            model.set_prediction_data(group_data_pred=g[held])
            sets = {"valid_sets": gpboost.Dataset(inputs[held], y[held]), "early_stopping_rounds": 10}
        return gpboost.train(settings, gpboost.Dataset(inputs[rows], y[rows]), n_trees, gp_model=model, verbose_eval=False, **sets), model

    n_held = len(train) // 10
    chosen, _ = boosted(train[n_held:], 500, train[:n_held])
    trees, model = boosted(train, chosen.best_iteration, None)
    predicted = trees.predict(inputs[test], group_data_pred=g[test], pred_latent=False)["response_mean"]
    return float(np.ravel(model.get_cov_pars())[0]), _auc(y[test], predicted), time.perf_counter() - begun


def _drawn(levels: int, variance: float, n: int, seed: int) -> tuple[_Split, float]:
    """A data set, and the mean square of its random effects."""
    draws = np.random.default_rng(seed)
    x = draws.uniform(-1, 1, (n, 10))
    a = 1 + x.sum(axis=1)
    shares = 1.0 + draws.poisson(3, levels)
    g, effects = draws.choice(levels, n, p=shares / shares.sum()), draws.normal(0, np.sqrt(variance), levels)
    eta = a * np.cos(a) + 2 * x[:, 0] * x[:, 1] + effects[g]
    y = (draws.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(float)
    order = np.random.default_rng(seed).permutation(n)
    train, test = order[: 4 * n // 5], order[4 * n // 5 :]
    split = _Split(pd.DataFrame({"y": y, "g": g}), x.astype(np.float32), train, test[np.isin(g[test], g[train])])
    return split, float((effects**2).mean())


def _weights(seed: int) -> list[Any]:
    keys = jax.random.split(jax.random.key(seed), len(_UNITS) - 1)
    sizes = zip(keys, _UNITS[:-1], _UNITS[1:], strict=True)
    return [(jax.random.normal(key, (n, m)) * np.sqrt(2 / n), jnp.zeros(m)) for key, n, m in sizes]


def _network(weights: list[Any], x: Any) -> Any:
    """Values of the rows; layers with relu. Nothing is dropped: training ends early instead."""
    for slopes, bias in weights[:-1]:
        x = jax.nn.relu(x @ slopes + bias)
    slopes, bias = weights[-1]
    return (x @ slopes + bias)[:, 0]


def _auc(y: np.ndarray, predicted: np.ndarray) -> float:
    """Area under the curve, from ranks."""
    ranks, ones = rankdata(predicted), y.sum()
    return float((ranks[y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones)))
