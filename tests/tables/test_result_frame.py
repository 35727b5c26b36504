"""Tables of results as DataFrames of polars."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.tables.result_frame import ResultFrame
from tests.test_docstrings import functions, properties

pl: Any = pytest.importorskip("polars")

TABLES: dict[str, dict[str, Any]] = {
    "conf_int": {},
    "contrasts": {"newdata": {"sex": ["male", "female"]}},
    "cov_params": {},
    "effects": {"newdata": {"time": [0.0, 1.0]}},
    "predict": {"interval": 0.9},
    "simulate": {"n": 2},
    **{name: {} for name in ("augment", "cluster_coefs", "dfbetas", "glance", "marginal_means", "random_effects_table")},
    **{name: {} for name in ("scoring_rules", "tidy", "vif")},
}


def of_methods(fit):
    """Every table of a fit: those of ``TABLES``, and those that are properties."""
    found = {name: getattr(fit, name)(**given, **({"method": "one_step"} if name == "dfbetas" else {})) for name, given in TABLES.items()}
    found |= {name: getattr(fit, name.split(".")[1]) for name in properties(gj.MixedModelResults)}
    return {name: table for name, table in found.items() if isinstance(table, pd.DataFrame)}


def test_no_method_that_returns_a_table_is_left_out():
    said = {name: str(function.__annotations__.get("return")) for name, function in functions().items()}
    own = {name.split(".")[1] for name, text in said.items() if text == "pd.DataFrame" and name.startswith("MixedModelResults.")}
    assert "tidy" in own
    assert own <= set(TABLES)


def test_every_table_of_a_fit_leaves_for_polars(intro_fit):
    tables = of_methods(intro_fit)
    assert {"tidy", "predict", "MixedModelResults.random_effects", "MixedModelResults.cov_re"} <= set(tables)
    for name, table in tables.items():
        found = table.to_polars()
        assert isinstance(found, pl.DataFrame), name
        assert len(found) == len(table), name
        for at in range(table.shape[1]):
            own, theirs = table.iloc[:, at], found.to_series(found.width - table.shape[1] + at)
            if own.dtype == float:
                np.testing.assert_array_equal(theirs.cast(pl.Float64).fill_null(np.nan).to_numpy(), own, err_msg=name)
            else:
                assert [str(v) for v in theirs] == [str(None if pd.isna(v) else v) for v in own], name


@pytest.mark.slow
def test_tables_of_many_fits_do_too(intro_binomial):
    outcomes = np.random.default_rng(0).integers(0, 2, size=(len(intro_binomial), 3))
    many = gj.fit_many("~ sex", "~ 1 | id", data=intro_binomial, outcomes=outcomes, family="binomial", n_agq=5)
    for table in (many.tidy(), many.table(), many.fe_params, many.wald_test("sex[T.female] = 0")):
        assert len(table.to_polars()) == len(table)
    assert many.fe_params.to_polars().columns[1:] == ["Intercept", "sex[T.female]"]


def test_labels_of_rows_are_columns_and_numbers_of_rows_are_none():
    numbered = ResultFrame({"a": [1.5, np.nan]})
    assert numbered.to_polars().to_dict(as_series=False) == {"a": [1.5, None]}
    assert numbered.iloc[[1]].to_polars().columns == numbered.query("a > 1").to_polars().columns == ["a"]
    assert ResultFrame({"a": [1.5]}, index=["x"]).to_polars().to_dict(as_series=False) == {"index": ["x"], "a": [1.5]}
    named = ResultFrame({"id": ["u", None]}, index=pd.Index([7, 8], name="id"))
    assert named.to_polars().to_dict(as_series=False) == {"id": [7, 8], "id_": ["u", None]}
    rows = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["level", None])
    two = ResultFrame([[True, 2], [False, 3]], index=rows, columns=pd.MultiIndex.from_tuples([("x", "y"), ("x", "")]))
    assert two.to_polars().to_dict(as_series=False) == {"level": ["a", "b"], "level_1": [1, 2], "x:y": [True, False], "x": [2, 3]}


def test_levels_keep_their_order_and_dates_are_dates():
    table = ResultFrame({"c": pd.Categorical(["low", None], ["low", "high"], ordered=True), "t": pd.to_datetime(["2024-01-01", None])})
    found = table.to_polars()
    assert found.dtypes[0] == pl.Enum(["low", "high"])
    assert found["c"].to_list() == ["low", None]
    assert found["t"].dt.year().to_list() == [2024, None]


def test_a_choice_of_rows_is_a_table_of_results_too():
    table = ResultFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    for part in (table.query("a > 1"), table.sort_values("a"), table[["a"]], table.round(1), pd.concat([table, table])):
        assert isinstance(part, ResultFrame)


def test_without_polars_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ArgumentError, match=r"to_polars\(\) needs the package polars: pip install polars"):
        ResultFrame({"a": [1.0]}).to_polars()
