"""Pictures of quantile residuals: what was drawn."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from glmmjax.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def residuals(poisson_fit):
    return poisson_fit.quantile_residuals(100)


def test_qq_plot_has_the_ordered_residuals_over_even_steps(residuals, tmp_path):
    _, given = plt.subplots()
    ax = residuals.plot_qq(given)
    assert ax is given
    line, points = ax.lines
    np.testing.assert_allclose(line.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_allclose(points.get_ydata(), np.sort(residuals.values))
    np.testing.assert_allclose(points.get_xdata(), (np.arange(800) + 0.5) / 800)
    assert "dispersion: p = " in ax.texts[0].get_text()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Expected quantile", "Quantile residual")
    ax.figure.savefig(tmp_path / "qq.png")
    assert (tmp_path / "qq.png").stat().st_size > 5000


def test_residual_plot_has_quartiles_of_bins(residuals, tmp_path):
    ax = residuals.plot_residuals("time", n_bins=4)
    time = residuals.record.columns["time"]
    points, *lines = (line for line in ax.lines if len(line.get_xdata()) not in (0, 2))
    np.testing.assert_allclose(points.get_xydata(), np.column_stack([time, residuals.values]))
    assert [line.get_label() for line in lines] == ["0.25", "0.5", "0.75"]
    assert len({line.get_linestyle() for line in lines}) == 3
    edges = np.quantile(time, [0, 0.25, 0.5, 0.75, 1])
    first = residuals.values.to_numpy()[time < edges[1]]
    np.testing.assert_allclose([line.get_ydata()[0] for line in lines], np.quantile(first, [0.25, 0.5, 0.75]))
    assert ax.get_xlabel() == "time"
    ax.figure.savefig(tmp_path / "residuals.png")


def test_residuals_against_fitted_ranks_own_numbers_and_few_values(poisson_fit, residuals):
    ax = poisson_fit.plot_residuals(n=100)
    x = ax.lines[0].get_xdata()
    assert (x.min(), x.max() < 1) == (0, True)
    assert (np.diff(residuals.record.fitted_means[np.argsort(x, kind="stable")]) >= -1e-12).all()
    numbers = pd.Series(np.arange(800.0), name="order")
    assert residuals.plot_residuals(numbers).get_xlabel() == "order"
    two = residuals.plot_residuals("sex[T.female]")
    np.testing.assert_allclose(two.lines[2].get_xdata(), [0.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"against": "age"}, r"against='age' is neither 'fitted' nor a fixed-effects column; these are 'Intercept'"),
        ({"against": [1.0, 2.0]}, r"against has shape \(2,\).*one finite number for each of the 800 rows"),
        ({"n_bins": 0}, r"n_bins=0 must be a whole number >= 1"),
    ],
)
def test_wrong_arguments_are_refused(residuals, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        residuals.plot_residuals(**arguments)
