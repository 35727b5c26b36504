"""Forest plots: points, intervals, the line of no effect, words."""

import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot

from glmmjax.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def points(ax):
    """(k, 2) of all marks, from the top."""
    found = np.concatenate([line.get_xydata() for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())])
    return found[np.argsort(-found[:, 1])]


def test_odds_ratios_with_their_intervals(intro_fit, tmp_path):
    ax, table = intro_fit.plot_coefficients(), intro_fit.conf_int().iloc[1:]
    np.testing.assert_allclose(points(ax)[:, 0], np.exp(table["estimate"]), rtol=1e-12)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    ends = {round(segment[0, 1]): segment[:, 0] for part in ax.collections for segment in part.get_segments()}
    np.testing.assert_allclose([ends[2], ends[1], ends[0]], np.exp(table[["lower", "upper"]]), rtol=1e-12)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Odds ratio, 95 % interval"
    filled = [line for line in ax.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "black"]
    assert len(filled[0].get_xdata()) == 2  # the interval of the interaction holds 1
    ax.figure.savefig(tmp_path / "forest.png")


def test_coefficients_as_they_are(poisson_fit):
    ax = poisson_fit.plot_coefficients(intercept=True, exponentiate=False, level=0.9)
    np.testing.assert_allclose(points(ax)[:, 0], poisson_fit.fe_params, rtol=1e-12)
    assert ax.get_xlabel() == "Coefficient (log link), 90 % interval"
    given = pyplot.subplots()[1]
    assert poisson_fit.plot_coefficients(ax=given) is given
    assert given.get_xlabel() == "Ratio of means, 95 % interval"


def test_refusals(intro_fit):
    with pytest.raises(ArgumentError, match="which='zero': the model has no such parameters"):
        intro_fit.plot_coefficients("zero")
    with pytest.raises(ArgumentError, match="no coefficient but the intercept; pass intercept=True"):
        intro_fit.update(fixed="y ~ 1").plot_coefficients()


def test_without_matplotlib_one_line_says_what_to_install(intro_fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"^plots need matplotlib, which is not installed: pip install 'glmmjax\[plot\]'$"):
        intro_fit.plot_coefficients()
