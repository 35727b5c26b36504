"""Pictures of quantile residuals: what was drawn."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from tests.postfit.model_checks import at_parameters

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
    assert any("dispersion: p = " in text.get_text() for text in ax.texts)
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


def test_diagnostics_have_bands_of_the_simulations(poisson_fit, residuals, tmp_path):
    left, right = poisson_fit.plot_diagnostics(n=100)
    bands = residuals.record.bands
    band = left.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [bands.ordered[0].min(), bands.ordered[1].max()])
    assert np.mean((np.sort(residuals.values) > bands.ordered[0]) & (np.sort(residuals.values) < bands.ordered[1])) > 0.8  # the true model
    # of uniform residuals of independent rows the band of the middle one is 0.5 +- 1.96 sqrt(0.25 / n); clusters make it wider
    assert bands.ordered[1, 400] - bands.ordered[0, 400] > 2 * 1.96 * np.sqrt(0.25 / 800) * 0.8
    means = residuals.record.fitted_means
    first = residuals.values.to_numpy()[np.searchsorted(np.sort(means), means) < 80]
    np.testing.assert_allclose(bands.quartiles[:, 0], np.quantile(first, [0.25, 0.5, 0.75]))
    n_out = ((bands.quartiles < bands.quartile_ends[0]) | (bands.quartiles > bands.quartile_ends[1])).sum()
    assert right.get_title() == f"{n_out} of 30 quartiles outside their 95 % bands"
    filled = [line for line in right.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "black"]
    assert sum(len(line.get_xdata()) for line in filled) == n_out
    left.figure.savefig(tmp_path / "diagnostics.png")


def test_a_significant_test_looks_so():
    """Counts with much more variance than the model has."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"id": np.repeat(np.arange(30), 5), "y": rng.negative_binomial(0.4, 0.1, 150)})
    fit = gj.mixed_model("y ~ 1", data=data, family="poisson")
    texts = {text.get_text().split(":")[0]: text for text in fit.plot_qq(n=50).texts}
    assert texts["dispersion"].get_text().endswith(" *")
    assert texts["dispersion"].get_fontweight() == "bold"
    quiet = [text for text in texts.values() if not text.get_text().endswith(" *")]
    assert all(text.get_fontweight() == "normal" for text in quiet)


def test_calibration_by_hand(intro_fit, intro_binomial, tmp_path):
    ax = intro_fit.plot_calibration(n_bins=5, n=100)
    predicted = intro_fit.predict(kind="marginal").to_numpy()
    edges = np.quantile(predicted, np.linspace(0, 1, 6))
    bins = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, 4)
    points = ax.lines[1].get_xydata()
    np.testing.assert_allclose(points[:, 0], [predicted[bins == k].mean() for k in range(5)], rtol=1e-10)
    np.testing.assert_allclose(points[:, 1], [intro_binomial["y"].to_numpy()[bins == k].mean() for k in range(5)])
    bars = np.array(ax.collections[0].get_segments())
    np.testing.assert_allclose(bars[:, 0, 0], points[:, 0])
    simulated = intro_fit.simulate(n=100).to_numpy()
    np.testing.assert_allclose(bars[2, :, 1], np.quantile(simulated[bins == 2].mean(0), [0.025, 0.975]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted Pr(y = 1), population average", "Observed share")
    ax.figure.savefig(tmp_path / "calibration.png")


def test_calibration_of_rare_events_shows_their_part():
    """All shares of an event of one in ten stand in a corner of (0, 1); the axes end above the largest of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"k": rng.binomial(50, 0.1, 60), "x": rng.normal(size=60)}).assign(other=lambda d: 50 - d["k"])
    for outcome, (low, high) in {"cbind(k, other)": (0.0, 0.5), "cbind(other, k)": (0.5, 1.0)}.items():
        beta = [np.log(1 / 9) if low == 0 else np.log(9.0), 0.1]
        fit = at_parameters({"fixed": f"{outcome} ~ x", "data": frame, "family": "binomial"}, beta)
        ax = fit.plot_calibration(n_bins=4, n=50)
        (least, most), (_, observed) = ax.get_xlim(), ax.lines
        assert ax.get_ylim() == (least, most)
        assert (most if low else least) == (1.0 if low else 0.0)
        assert low <= least < most <= high
        shares = np.asarray(observed.get_ydata(), float)
        assert least < shares.min() < shares.max() < most


def test_calibration_is_of_two_outcomes(poisson_fit):
    with pytest.raises(ArgumentError, match="plot_calibration is for outcomes of 0 and 1"):
        poisson_fit.plot_calibration()
