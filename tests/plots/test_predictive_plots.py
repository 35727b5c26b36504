"""Pictures of simulated distributions and of frequencies: what was drawn."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from glmmjax.postfit.checking.predictive_checks import predictive_ecdf
from glmmjax.postfit.checking.rootogram import rootogram
from glmmjax.postfit.checking.simulate import SimulationSettings

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("parameter_uncertainty", [False, True])
def test_observed_shares_lie_over_the_simulated_ones(poisson_fit, parameter_uncertainty, tmp_path):
    _, given = plt.subplots()
    ax = poisson_fit.plot_predictive(20, parameter_uncertainty=parameter_uncertainty, ax=given)
    assert ax is given
    found = predictive_ecdf(poisson_fit.fitted_model, SimulationSettings(20, parameter_uncertainty=parameter_uncertainty))
    assert len(ax.lines) == 20 + 2 + 1
    for line, shares in zip(ax.lines[:20], found.simulated, strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([found.grid, shares]))
    np.testing.assert_allclose(ax.lines[20].get_ydata(), np.quantile(found.simulated, 0.025, axis=0))
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), found.observed)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["simulated", "95 % of simulated", "observed"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("y", "Share of outcomes at or below")
    ax.figure.savefig(tmp_path / "ecdf.png")


def test_bars_hang_from_the_expected_frequencies(poisson_fit, tmp_path):
    ax = poisson_fit.plot_rootogram(30)
    found = rootogram(poisson_fit.fitted_model, 30)
    bars = ax.containers[0]
    np.testing.assert_allclose([bar.get_height() for bar in bars], np.sqrt(found.observed))
    np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in bars], np.sqrt(found.expected))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.sqrt(found.expected))
    assert ax.get_ylabel() == "Square root of frequency"
    ax.figure.savefig(tmp_path / "rootogram.png")
