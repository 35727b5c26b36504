"""Caterpillar plots: what is drawn, and where."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot

from glmmjax.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


def test_effects_are_in_the_order_of_their_size(diagonal_fit, tmp_path):
    ax = diagonal_fit.plot_random_effects("time")
    table = diagonal_fit.random_effects_table().xs("time", level="effect").sort_values("estimate", kind="stable")
    points = np.concatenate([np.column_stack(line.get_data()) for line in ax.lines[:2]])
    points = points[np.argsort(points[:, 0])]
    np.testing.assert_array_equal(points[:, 0], np.arange(1, 101))
    np.testing.assert_allclose(points[:, 1], table["estimate"])
    ends = np.concatenate([np.array(c.get_segments())[:, :, :] for c in ax.collections if len(c.get_segments())])
    ends = ends[np.argsort(ends[:, 0, 0])]
    np.testing.assert_allclose(ends[:, :, 1], table[["lower", "upper"]])
    assert ax.get_ylabel() == "time: conditional mode, 95 % interval"
    assert ax.get_xlabel() == "100 clusters (id), by size of the effect"
    ax.figure.savefig(tmp_path / "caterpillar.png", dpi=110)
    assert (tmp_path / "caterpillar.png").stat().st_size > 5000


def test_intervals_without_0_look_different(intro_fit):
    grey, black = intro_fit.plot_random_effects(kind="mean", level=0.8).lines[:2]
    table = intro_fit.random_effects_table("mean", 0.8)
    assert len(black.get_xdata()) == ((table["lower"] > 0) | (table["upper"] < 0)).sum()
    assert grey.get_markerfacecolor() == "white"
    assert black.get_markerfacecolor() == "black"


def test_axes_given_are_drawn_on(intro_fit):
    ax = pyplot.subplots()[1]
    assert intro_fit.plot_random_effects(ax=ax) is ax
    assert ax.get_ylabel().startswith("Intercept: conditional mode")


def test_unknown_effects_are_refused(intro_fit, no_effects_fit):
    with pytest.raises(ArgumentError, match="effect='time' is no random effect of the model; choose one of 'Intercept'"):
        intro_fit.plot_random_effects("time")
    with pytest.raises(ArgumentError, match="the model has none"):
        no_effects_fit.plot_random_effects()


def test_the_outstanding_clusters_are_named(intro_fit):
    """Where the axis has no room for labels: at each end those whose intervals leave out 0, the most extreme first."""
    table = intro_fit.random_effects_table().droplevel("effect").sort_values("estimate", kind="stable")
    low, high = table[table["upper"] < 0].index, table[table["lower"] > 0].index[::-1]
    texts = [text.get_text() for text in intro_fit.plot_random_effects().texts]
    assert texts == [f"smallest: {', '.join(map(str, low[:5]))}", f"largest: {', '.join(map(str, high[:5]))}"]
