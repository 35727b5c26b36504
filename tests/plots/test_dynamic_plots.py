"""Dynamic predictions: what was seen as marks, what follows as lines with bands."""

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


@pytest.fixture(scope="module")
def history(intro_binomial):
    return intro_binomial[intro_binomial["id"].isin([2, 5]) & (intro_binomial["time"] < 6)]


def test_subjects_with_what_follows(intro_fit, intro_binomial, history, tmp_path):
    ax = intro_fit.plot_dynamic(history, "time")
    marks = {line.get_label(): line for line in ax.lines if line.get_label().startswith("id ")}
    after = [line for line in ax.lines if line.get_label() == "_prediction"]
    assert list(marks) == ["id 2", "id 5"]
    for (subject, own), line in zip(history.groupby("id"), after, strict=True):
        np.testing.assert_array_equal(marks[f"id {subject}"].get_xydata(), own[["time", "y"]])
        x = line.get_xdata()
        assert (x[0], x[-1]) == (own["time"].max(), intro_binomial["time"].max())
        later = own.iloc[[-1] * len(x)].assign(time=x)
        expected = intro_fit.predict(own, later, kind="subject_specific", interval=0.95)
        np.testing.assert_allclose(line.get_ydata(), expected["prediction"], rtol=1e-10)
    assert ax.get_ylabel() == "Pr(y = 1): seen, then predicted, 95 % interval"
    ax.figure.savefig(tmp_path / "dynamic.png")


def test_rows_of_the_caller(intro_fit, history):
    given = pyplot.subplots()[1]
    later = history.groupby("id").tail(1)
    later = later.loc[later.index.repeat(3)].assign(time=[12.0, 7.0, 9.0] * 2)
    assert intro_fit.plot_dynamic(history, "time", later, level=0.8, ax=given) is given
    line = next(line for line in given.lines if line.get_label() == "_prediction")
    np.testing.assert_array_equal(line.get_xdata(), [7.0, 9.0, 12.0])
    band = given.collections[0].get_paths()[0].vertices[:, 1]
    expected = intro_fit.predict(history[history["id"] == 2], later[later["id"] == 2], kind="subject_specific", interval=0.8)
    np.testing.assert_allclose([band.min(), band.max()], [expected["lower"].min(), expected["upper"].max()], rtol=1e-10)


def test_refusals(intro_fit, no_effects_fit, intro_binomial, history):
    with pytest.raises(ArgumentError, match="needs random effects, which a history tells of"):
        no_effects_fit.plot_dynamic(history, "time")
    with pytest.raises(ArgumentError, match="history has no column 'age'"):
        intro_fit.plot_dynamic(history, "age")
    with pytest.raises(ArgumentError, match="x='sex' must be a number"):
        intro_fit.plot_dynamic(history, "sex")
    with pytest.raises(ArgumentError, match="history has 100 subjects, and 6 can be told apart"):
        intro_fit.plot_dynamic(intro_binomial, "time")
    with pytest.raises(ArgumentError, match="history has no row; pass rows of the subjects"):
        intro_fit.plot_dynamic(history.head(0), "time")
    with pytest.raises(ArgumentError, match=r"x='time' is missing in a row of history.*history.dropna\(subset=\['time'\]\)"):
        intro_fit.plot_dynamic(history.assign(time=history["time"].where(history["time"] > history["time"].min())), "time")
    with pytest.raises(ArgumentError, match="newdata2 has id = 9, of whom history has no row"):
        intro_fit.plot_dynamic(history, "time", intro_binomial[intro_binomial["id"] == 9])


def test_labels_of_rows_do_not_matter(intro_fit, history):
    lines = [
        [line.get_ydata() for line in intro_fit.plot_dynamic(h, "time").lines] for h in (history, history.set_axis([0] * len(history)))
    ]
    assert len(lines[0]) == len(lines[1])
    for one, other in zip(*lines, strict=True):
        np.testing.assert_array_equal(one, other)
