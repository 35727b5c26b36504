"""Separation is found where a linear program finds it, and is named with its covariate, its direction and what to do."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize

import glmmjax as gj
from glmmjax.errors import ConvergenceWarning
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.separation import by_one_column, separating_direction
from glmmjax.families import Binomial, Poisson
from glmmjax.likelihood.clusters import Bucket
from glmmjax.postfit.inference.separation import explained

pytestmark = pytest.mark.usefixtures("compile_quickly")


def _no_positive_weights(x, down, up):
    """Stiemke's theorem: a direction exists unless positive weights of the gains, and any of the rows that stay, give 0.

    Non-negative least squares make the length of that sum smallest (Lawson and Hanson 1974, chapter 23).
    """
    gains, still = (np.where(up, 1.0, -1.0)[:, None] * x)[down ^ up], x[~(down | up)]
    scale = np.abs(x).max(axis=0)
    if not len(gains):
        return False
    left = scipy.optimize.nnls(np.vstack([gains, still, -still]).T / scale[:, None], -gains.sum(axis=0) / scale)[1]
    return left > 1e-8


def _rows(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(8, 30))
    x = np.column_stack([np.ones(n), random.integers(-1, 2, (n, 2)) * 2.0, 2e3 + random.normal(size=n)])
    down = random.random(n) < 0.5
    up = ~down & (random.random(n) < [1.0, 0.9, 0.0][seed % 3])
    return x, down, up


@pytest.mark.parametrize("seed", range(40))
def test_a_direction_is_found_unless_positive_weights_forbid_it(seed):
    x, down, up = _rows(seed)
    found = separating_direction(x, down, up)
    assert (found is not None) == _no_positive_weights(x, down, up)
    if found is not None:
        gains = np.where(up, 1.0, -1.0) * (x @ found)
        largest = np.abs(gains).max()
        assert gains[down | up].min() > -1e-6 * largest
        assert np.abs(gains[~(down | up)]).max(initial=0.0) < 1e-6 * largest


def test_the_cases_hold_both_answers():
    assert {_no_positive_weights(*_rows(seed)) for seed in range(40)} == {False, True}


def test_rows_beyond_the_first_program_are_not_forgotten():
    random = np.random.default_rng(1)
    x = np.column_stack([np.ones(9_001), random.normal(size=(9_001, 2))])
    up = x @ [0.3, 1.0, -2.0] > 0.0
    found = separating_direction(x, ~up, up)
    assert found is not None
    assert (np.where(up, 1.0, -1.0) * (x @ found)).min() > -1e-6 * np.abs(x @ found).max()
    up[np.argsort(np.abs(x @ [0.3, 1.0, -2.0]))[0:40:7]] ^= True  # a few rows next to the threshold
    assert separating_direction(x, ~up, up) is None


def _bucket(x, y):
    """Rows in blocks of one cluster of one row."""
    n, one = len(y), np.ones((len(y), 1))
    blocks: Any = (y[:, None, None], (x[:, :, None, None],), (), np.zeros((n, 1, 1, 1)), one[:, :, None], one)
    return (Bucket(*blocks),)


@pytest.mark.parametrize("seed", range(60))
def test_one_pass_finds_what_one_column_separates(seed):
    """Against the program of every column beside the intercept, for outcomes with two sides and with one."""
    random = np.random.default_rng(seed)
    n, family = int(random.integers(4, 9)), (Binomial(), Poisson())[seed % 2]
    x = np.column_stack([np.full(n, 2.0), random.integers(0, 2, n), random.integers(-2, 3, n)])[:, seed % 3 == 0 :]
    y = random.integers(0, 2 if seed % 2 == 0 else 3, n).astype(float)
    down, up = family.runs_off(y)
    alone = [[0]] if seed % 3 else [[0], [1]]
    programs = [separating_direction(x[:, used], down, up) for used in (*alone, *([0, k] for k in range(1, x.shape[1]) if seed % 3))]
    found = by_one_column(family, _bucket(x, y))
    assert (found is None) == all(program is None for program in programs)
    if found is not None:
        gains = np.where(up, 1.0, -1.0) * (x @ found.change)
        assert gains[down | up].min() >= 0.0
        assert gains[down | up].max() > 0.0
        assert not gains[~(down | up)].any()


def _data():
    random = np.random.default_rng(5)
    group, dose = np.repeat(np.arange(40), 5), random.normal(size=200)
    clinic = np.where(np.arange(40) % 4 == 0, "new", "old")[group]  # constant within clusters
    return random, pd.DataFrame({"group": group, "dose": dose, "clinic": pd.Categorical(clinic, ["old", "new"])})


def _failed(data, formula, **how):
    with pytest.warns(ConvergenceWarning) as caught:
        fit = gj.mixed_model(formula, random="~ 1 | group", data=data, **how)
    assert fit.convergence.code is Code.DIVERGING
    assert len(caught) == 1
    return fit, fit.convergence.message


def test_complete_separation_names_the_covariate_and_where():
    _, data = _data()
    data["y"] = (data["dose"] > 0.3).astype(float)
    below, above = data["dose"][data["y"] == 0].max(), data["dose"][data["y"] == 1].min()
    _, text = _failed(data, "y ~ dose", family="binomial")
    assert "separation: the outcome is always 1 wherever `dose` > " in text
    assert "that of `dose` to +infinity" in text
    threshold = float(text.split("`dose` > ")[1].split(",")[0])
    assert below <= threshold <= above
    # the advice
    assert gj.mixed_model("y ~ dose", random="~ 1 | group", data=data, family="binomial", penalized=True).converged


def test_a_covariate_of_clusters_that_separates_some_of_them():
    random, data = _data()
    data["y"] = np.where(data["clinic"] == "new", 0.0, random.random(200) < 0.5)
    _, text = _failed(data, "y ~ dose + clinic", family="binomial")
    assert "the outcome is always 0 where `clinic[T.new]` = 1" in text
    assert "that of `clinic[T.new]` to -infinity" in text
    for how in ({"fixed": "y ~ dose + clinic", "penalized": True}, {"fixed": "y ~ dose"}):  # the advice
        assert gj.mixed_model(random="~ 1 | group", data=data, family="binomial", **how).converged


def test_counts_that_are_all_zero_at_one_level():
    random, data = _data()
    data["y"] = np.where(data["clinic"] == "new", 0, random.poisson(np.exp(0.5 + random.normal(size=40)[data["group"]])))
    _, text = _failed(data, "y ~ dose + clinic", family="poisson")
    assert "the outcome is always 0 where `clinic[T.new]` = 1" in text
    assert "penalized=True" in text
    assert gj.mixed_model("y ~ dose + clinic", random="~ 1 | group", data=data, family="poisson", penalized=True).converged


def test_the_columns_of_a_factor_that_separate_by_its_first_level():
    random, data = _data()
    data["site"] = np.array(["a", "b", "c"])[random.integers(0, 3, 200)]
    data["y"] = np.where(data["site"] == "a", "sick", np.where(random.random(200) < 0.5, "sick", "well"))
    _, text = _failed(data, "y ~ dose + site", family="binomial")
    assert "the outcome is never well wherever +1 `site[T.b]` +1 `site[T.c]` < 1" in text
    assert "that of `site[T.b]` to +infinity, that of `site[T.c]` to +infinity" in text
    assert "`dose`" not in text


def test_a_zero_part_is_separated_too():
    random, data = _data()
    data["y"] = np.where(data["clinic"] == "new", 1, random.integers(0, 2, 200)) * (1 + random.poisson(1.0, 200))
    _, text = _failed(data, "y ~ dose", family="hurdle_poisson", zi_fixed="~ clinic")
    assert "separation in the zero part: the outcome is never 0 where `clinic[T.new]` = 1" in text
    assert "that of `clinic[T.new]` to -infinity. Try a zero part without `clinic[T.new]`" in text
    assert gj.mixed_model("y ~ dose", random="~ 1 | group", data=data, family="hurdle_poisson", zi_fixed="~ 1").converged


@pytest.mark.slow
def test_levels_in_the_order_of_a_covariate():
    _, data = _data()
    data["y"] = np.digitize(data["dose"], [-0.5, 0.5])
    _, text = _failed(data, "y ~ dose", family="cumulative")
    assert "the levels of the outcome do not overlap along `dose`. The estimates go to infinity: that of `dose` to +infinity" in text
    assert gj.mixed_model("y ~ dose", random="~ 1 | group", data=data, family="cumulative", penalized=True).converged


def test_no_finer_rule_is_tried_for_a_maximum_that_is_not_there():
    _, data = _data()
    data["y"] = (data["dose"] > 0.3).astype(float)
    fit, _ = _failed(data, "y ~ dose", family="binomial")
    assert fit.convergence.n_agq == fit.fitted_model.request.rule.quadrature(1).n_points


def test_nothing_is_converged_with_a_coefficient_that_has_no_standard_error(intro_fit):
    """A record whose information of one coefficient is lost, on data that nothing separates."""
    fitted = intro_fit.fitted_model
    assert explained(fitted) is fitted
    information = fitted.information.copy()
    information[2, :], information[:, 2] = 0.0, 0.0
    ended = explained(dataclasses.replace(fitted, information=information)).convergence
    assert ended.code is Code.DIVERGING
    assert ended.message.endswith(f"What runs off is {fitted.design.fixed_names[2]}.")


def test_what_is_not_separated_is_not_called_so():
    random, data = _data()
    data["y"] = random.integers(0, 2, 40)[data["group"]].astype(float)  # the same in all rows of a cluster: a variance with hardly a bound
    with pytest.warns(ConvergenceWarning) as caught:
        fit = gj.mixed_model("y ~ dose", random="~ 1 | group", data=data, family="binomial")
    assert all("separation" not in text for text in (fit.convergence.message, *(str(warning.message) for warning in caught)))
