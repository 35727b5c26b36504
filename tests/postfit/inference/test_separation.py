"""Separation is found where a linear program finds it, and is named with its covariate, its direction and what to do."""

import numpy as np
import pandas as pd
import pytest
import scipy.optimize

import glmmjax as gj
from glmmjax.errors import ConvergenceWarning
from glmmjax.postfit.inference.separation import separating_direction


def _program_finds(x, down, up):
    """Konis (2007): the largest sum of gains over directions in a box; (n,) which rows move."""
    sign = np.where(up, 1.0, -1.0)[:, None]
    moving = down ^ up
    still = ~(down | up)
    if not moving.any():
        return False
    gains = (sign * x)[moving]
    equal = {"A_eq": x[still], "b_eq": np.zeros(still.sum())} if still.any() else {}
    found = scipy.optimize.linprog(-gains.sum(0), A_ub=-gains, b_ub=np.zeros(len(gains)), bounds=(-1, 1), **equal)
    return -found.fun > 1e-7


@pytest.mark.parametrize("seed", range(40))
def test_a_direction_is_found_where_the_linear_program_finds_one(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(8, 30))
    x = np.column_stack([np.ones(n), random.integers(-1, 2, (n, 2)) * 2.0, random.normal(size=n) * 1e3])
    down = random.random(n) < 0.5
    up = ~down & (random.random(n) < [1.0, 0.9, 0.0][seed % 3])
    found = separating_direction(x, down, up)
    assert (found is not None) == _program_finds(x, down, up)
    if found is not None:
        gains = np.where(up, 1.0, -1.0) * (x @ found)
        largest = np.abs(gains).max()
        assert gains[down | up].min() > -1e-6 * largest
        assert np.abs(gains[~(down | up)]).max(initial=0.0) < 1e-6 * largest


def test_the_programs_agree_on_both_answers():
    """The cases above hold both answers, so that the test can fail."""
    answers = set()
    for seed in range(40):
        random = np.random.default_rng(seed)
        n = int(random.integers(8, 30))
        x = np.column_stack([np.ones(n), random.integers(-1, 2, (n, 2)) * 2.0, random.normal(size=n) * 1e3])
        down = random.random(n) < 0.5
        answers.add(_program_finds(x, down, ~down & (random.random(n) < [1.0, 0.9, 0.0][seed % 3])))
    assert answers == {False, True}


def _data():
    random = np.random.default_rng(5)
    group, dose = np.repeat(np.arange(40), 5), random.normal(size=200)
    clinic = np.where(np.arange(40) % 4 == 0, "new", "old")[group]  # constant within clusters
    return random, pd.DataFrame({"group": group, "dose": dose, "clinic": pd.Categorical(clinic, ["old", "new"])})


def _failed(data, formula, **how):
    with pytest.warns(ConvergenceWarning) as caught:
        fit = gj.mixed_model(formula, random="~ 1 | group", data=data, **how)
    assert not fit.converged
    assert len(caught) == 1
    return fit, fit.convergence.message


def test_complete_separation_names_the_covariate_and_where():
    _, data = _data()
    data["y"] = (data["dose"] > 0.3).astype(float)
    below, above = data["dose"][data["y"] == 0].max(), data["dose"][data["y"] == 1].min()
    _, text = _failed(data, "y ~ dose", family="binomial")
    assert "separation: the outcome is without failure wherever `dose` > " in text
    assert "that of `dose` to +infinity" in text
    threshold = float(text.split("`dose` > ")[1].split(",")[0])
    assert below <= threshold <= above
    # the advice
    assert gj.mixed_model("y ~ dose", random="~ 1 | group", data=data, family="binomial", penalized=True).converged


def test_a_covariate_of_clusters_that_separates_some_of_them():
    random, data = _data()
    data["y"] = np.where(data["clinic"] == "new", 0.0, random.random(200) < 0.5)
    _, text = _failed(data, "y ~ dose + clinic", family="binomial")
    assert "the outcome is without success wherever `clinic[T.new]` > 0" in text
    assert "that of `clinic[T.new]` to -infinity" in text
    for how in ({"fixed": "y ~ dose + clinic", "penalized": True}, {"fixed": "y ~ dose"}):  # the advice
        assert gj.mixed_model(random="~ 1 | group", data=data, family="binomial", **how).converged


def test_counts_that_are_all_zero_at_one_level():
    random, data = _data()
    data["y"] = np.where(data["clinic"] == "new", 0, random.poisson(np.exp(0.5 + random.normal(size=40)[data["group"]])))
    _, text = _failed(data, "y ~ dose + clinic", family="poisson")
    assert "the outcome is 0 wherever `clinic[T.new]` > 0" in text
    assert "penalized=True" in text
    assert gj.mixed_model("y ~ dose + clinic", random="~ 1 | group", data=data, family="poisson", penalized=True).converged


def test_what_is_not_separated_is_not_called_so():
    random, data = _data()
    data["y"] = random.integers(0, 2, 40)[data["group"]].astype(float)  # the same in all rows of a cluster: no bound for the variance
    fit = None
    with pytest.warns(ConvergenceWarning):
        fit = gj.mixed_model("y ~ dose", random="~ 1 | group", data=data, family="binomial")
    assert not fit.converged
    assert "separation" not in fit.convergence.message
