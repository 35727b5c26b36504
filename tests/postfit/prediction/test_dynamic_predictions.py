"""Coverage of dynamic predictions: subjects whose truth is known, a history of four rows each, and the rows after it."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj

pytestmark = pytest.mark.slow

N_FITS, N_CLUSTERS, N_NEW, N_ROWS, N_HISTORY = 8, 150, 300, 8, 4
MODELS = {
    "binary": {"random": "~ 1 | id", "family": "binomial"},
    "zero_inflated": {"random": "~ 1 | id", "family": "zero_inflated_poisson", "zi_fixed": "~ 1"},
    "gamma": {"random": "~ 1 | id", "family": "gamma"},
    "slopes": {"random": "~ t | id", "family": "gaussian"},
}


def simulate(rng, kind, n_subjects, first_label):
    """Rows with outcomes and with their true subject-specific means."""
    subject = np.repeat(np.arange(n_subjects), N_ROWS)
    t, x = np.tile(np.arange(N_ROWS) / 2.0, n_subjects), rng.integers(0, 2, n_subjects)[subject]
    b = rng.standard_normal((n_subjects, 2))[subject].T
    if kind == "binary":
        mean = 1.0 / (1.0 + np.exp(-(-0.5 + 0.4 * t - 0.5 * x + 1.5 * b[0])))
        y = rng.random(len(t)) < mean
    elif kind == "zero_inflated":
        rate = np.exp(1.0 + 0.2 * t - 0.3 * x + 0.7 * b[0])
        mean, y = 0.75 * rate, rng.poisson(rate) * (rng.random(len(t)) < 0.75)
    elif kind == "gamma":
        mean = np.exp(1.0 + 0.2 * t - 0.3 * x + 0.6 * b[0])
        y = mean * rng.gamma(3.0, 1.0 / 3.0, len(t))
    else:
        mean = 1.0 + 0.5 * t - 0.3 * x + b[0] + (0.3 * b[0] + 0.5 * b[1]) * t
        y = mean + 0.7 * rng.standard_normal(len(t))
    return pd.DataFrame({"id": first_label + subject, "t": t, "x": x, "y": np.asarray(y, float), "mean": mean})


def is_covered(table, truth):
    return ((truth >= table["lower"]) & (truth <= table["upper"])).mean()


@pytest.mark.parametrize("kind", MODELS)
def test_intervals_cover_means_and_outcomes(kind):
    means, outcomes = [], []
    for k in range(N_FITS):
        rng = np.random.default_rng(100 + k)
        fit = gj.mixed_model("y ~ t + x", data=simulate(rng, kind, N_CLUSTERS, 0), **MODELS[kind])  # type: ignore[arg-type]
        rows = simulate(rng, kind, N_NEW, 10_000)
        is_history = rows.groupby("id").cumcount() < N_HISTORY
        history, future = rows[is_history], rows[~is_history]
        means.append(is_covered(fit.predict(history, future, kind="subject_specific", interval=0.95), future["mean"]))
        table = fit.predict(history, future, kind="subject_specific", interval=0.95, interval_for="outcome", seed=k, n_draws=500)
        outcomes.append(is_covered(table, future["y"]))
    print(f"{kind}: mean {np.mean(means):.3f}, outcome {np.mean(outcomes):.3f}")
    assert 0.93 < np.mean(means) < 0.97
    assert np.mean(outcomes) > 0.93
    if kind in ("gamma", "slopes"):  # an interval of a count, or of 0 and 1, has no exact level
        assert np.mean(outcomes) < 0.97
