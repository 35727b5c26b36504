"""``fit_many(by=)``: data sets of different sizes, against ``mixed_model`` on the rows of each."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.many.level_source import _classes, _Level

pytestmark = [
    pytest.mark.usefixtures("compile_quickly"),
    pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning"),
]


def items(n: int = 9) -> pd.DataFrame:
    """Items with different numbers of persons, which are the same persons by name; one of them has two rows without any count."""
    draws, parts = np.random.default_rng(2), []
    for item in range(n):
        m = int(draws.integers(8, 15))
        person = np.repeat(np.arange(m), draws.integers(3, 7, size=m)) if item else np.array([0, 1])
        x = draws.normal(size=len(person))
        mean = np.exp(0.5 + 0.3 * x + 0.7 * draws.normal(size=m)[person])
        parts.append(pd.DataFrame({"item": f"i{item}", "person": person, "x": x, "y": draws.poisson(mean), "w": 1.0 + person % 2}))
    data = pd.concat(parts).sample(frac=1.0, random_state=1)
    return data.assign(y=data["y"].where(data["item"] != "i0", 0))


@pytest.fixture(scope="module")
def many():
    with pytest.warns(gj.errors.ConvergenceWarning):
        return gj.fit_many("y ~ x", "~ 1 | person", data=items(), by="item", family="poisson", weights="w")


def test_every_fit_is_that_of_its_rows(many):
    data = items()
    assert sorted(many.llf.index) == sorted(data["item"].unique())
    for name in ("i1", "i4"):
        rows = data[data["item"] == name]
        fit = gj.mixed_model("y ~ x", "~ 1 | person", data=rows, family="poisson", weights="w")
        assert many.llf[name] == pytest.approx(fit.llf, abs=2e-8)
        np.testing.assert_allclose(many.fe_params.loc[name], fit.fe_params, atol=1e-6)
        np.testing.assert_allclose(many.bse_fe.loc[name], fit.bse_fe, rtol=1e-6)
        assert many.nobs[name] == len(rows)
        assert many.fitted_many.n_groups[many.llf.index.get_loc(name)] == len(fit.random_effects)
    assert many["i4"].llf == pytest.approx(many.llf["i4"], abs=1e-8)


def test_a_data_set_without_a_maximum_has_a_code_and_a_text(many):
    assert not many.converged["i0"]
    assert many.converged.drop("i0").all()
    assert many.code["i0"] == "DIVERGING"
    assert "keeps rising" in many.message["i0"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"by": "nosuch"}, "no such column"),
        ({"by": "item", "outcomes": np.ones((5, 2))}, "either outcomes= .* or by="),
        ({}, "either outcomes= .* or by="),
    ],
)
def test_wrong_arguments(changes, words):
    arguments: Any = {"fixed": "y ~ x", "random": "~ 1 | person", "data": items(), "family": "poisson"}
    with warnings.catch_warnings(), pytest.raises(ArgumentError, match=words.replace("=", "=,?")):
        gj.fit_many(**arguments, **changes)


def test_shapes_are_joined_as_long_as_padding_is_cheaper_than_compiling():
    def levels(n, sizes):
        return [_Level(0, np.array(sizes), np.ones(len(sizes))) for _ in range(n)]

    few = levels(5, [3, 4]) + levels(5, [10] * 20)
    ((shape, fits),) = _classes(few, 11)
    assert shape[0] >= 10
    assert list(fits) == list(range(10))
    many = levels(20_000, [3, 4]) + levels(5, [10] * 20)
    assert [len(fits) for _, fits in _classes(many, 11)] == [20_000, 5]


def test_data_sets_that_are_many_enough_have_a_shape_of_their_own():
    same = [_Level(0, np.array([9] * 50), np.ones(50))] * 1000
    assert [shape for shape, _ in _classes(same, 11)] == [(12, 64)]
    assert [shape for shape, _ in _classes(same, 121)] == [(9, 50)]
