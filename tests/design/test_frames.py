"""Tables of other libraries: the fit, the outcomes and the predictions are those of the same table in pandas."""

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design.frames import as_pandas
from glmmjax.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compile_quickly")


def of_pyarrow(frame):
    return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)


def of_polars(frame):
    pl = pytest.importorskip("polars")
    levels = {name: frame[name].cat.categories.to_list() for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)}
    types = {name: pl.Enum(values) for name, values in levels.items()}
    return pl.DataFrame([pl.Series(name, frame[name].to_list(), dtype=types.get(name)) for name in frame.columns])


LIBRARIES = pytest.mark.parametrize("library", [of_pyarrow, of_polars])


@LIBRARIES
def test_a_fit_and_its_predictions_are_those_of_pandas(library, intro_binomial, intro_fit):
    table = library(intro_binomial)
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=table, family="binomial")
    assert fit.llf == pytest.approx(intro_fit.llf, abs=1e-9)
    assert list(fit.fe_params.index) == list(intro_fit.fe_params.index)
    rows = intro_binomial.iloc[:9].reset_index(drop=True)
    for arguments in ({}, {"kind": "subject_specific"}, {"kind": "marginal", "interval": 0.9}):
        ours, theirs = (fit.predict(data, **arguments) for data in (library(rows), rows))
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    np.testing.assert_allclose(fit.effects(library(rows[["sex", "time"]]))["estimate"], fit.predict(rows), rtol=1e-10)
    assert len(fit.augment(library(rows))) == 9
    assert fit.update(data=table, fixed="y ~ .").nobs == 800  # the dot stands for the columns of the table


@LIBRARIES
def test_outcomes_of_many_fits(library):
    data = gj.datasets.load_epil()
    draws = np.random.default_rng(1)
    counts = pd.DataFrame(draws.poisson(3.0, (len(data), 3)), columns=["a", "b", "c"])
    common: Any = {"fixed": "~ trt", "random": "~ 1 | subject", "family": "poisson"}
    ours = gj.fit_many(**common, data=library(data), outcomes=library(counts))
    pd.testing.assert_frame_equal(ours.fe_params, gj.fit_many(**common, data=data, outcomes=counts).fe_params)


def test_a_stream_of_tables(intro_binomial, intro_fit):
    parts = [of_pyarrow(part) for part in (intro_binomial[:304], intro_binomial[304:])]
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.stream(parts), family="binomial")
    assert fit.llf == pytest.approx(intro_fit.llf, abs=1e-6)
    with pytest.raises(ArgumentError, match="in memory already"):
        gj.stream(parts[0])


def test_columns_of_polars():
    """Missing numbers are NaN; an ``Enum`` has an order, a ``Categorical`` is text."""
    pl = pytest.importorskip("polars")
    table = pl.DataFrame(
        {
            "number": [1, None, 3],
            "text": ["b", None, "a"],
            "ordered": pl.Series(["low", "high", "low"], dtype=pl.Enum(["low", "high"])),
            "level": pl.Series(["z", "a", "z"], dtype=pl.Categorical),
            "flag": [True, False, True],
        }
    )
    found = as_pandas(table)
    np.testing.assert_array_equal(found["number"], [1.0, np.nan, 3.0])
    assert found["text"].isna().tolist() == [False, True, False]
    assert found["ordered"].cat.ordered
    assert list(found["ordered"].cat.categories) == ["low", "high"]
    assert found["level"].tolist() == ["z", "a", "z"]
    assert not isinstance(found["level"].dtype, pd.CategoricalDtype)
    assert found["flag"].dtype == bool
    with pytest.raises(ArgumentError, match=r"data is a lazy table, polars.*LazyFrame; pass data\.collect\(\)"):
        gj.mixed_model("y ~ 1", data=table.lazy(), family="gaussian")


def test_pandas_alone_loads_no_other_library():
    code = (
        "import glmmjax as gj, sys; data = gj.datasets.load_intro_binomial();"
        "gj.make_design('y ~ sex', random='~ 1 | id', data=data, family='binomial');"
        "print({'narwhals', 'polars', 'pyarrow.dataset'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
