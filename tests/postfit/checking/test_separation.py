"""Separation is found and named: against data that are separated by construction, and the advice is run."""

import re

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ConvergenceWarning
from glmmjax.estimation.convergence import Code
from glmmjax.families.registry import resolve_family
from glmmjax.postfit.checking.separation import open_sides, separating_direction

pytestmark = pytest.mark.usefixtures("compile_quickly")


def sides(family, *columns):
    return [list(side) for side in open_sides(resolve_family(family), tuple(np.array(c, float) for c in columns))]


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_only_outcomes_at_the_ends_of_their_range_are_open(link):
    assert sides(gj.families.Binomial(link=link), [0, 1]) == [[-1, 1]]
    assert sides(gj.families.Binomial(link=link), [0, 1, 3], [3, 2, 0]) == [[-1, 0, 1]]


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "negative_binomial1", "generalized_poisson", "conway_maxwell_poisson"])
def test_only_the_count_zero_is_open(family):
    assert sides(family, [0, 1, 7]) == [[-1, 0, 0]]


@pytest.mark.parametrize(("family", "values"), [("gaussian", [-1e3, 0, 50]), ("gamma", [1e-15, 1, 1e15]), ("student_t", [-1e9, 0, 1])])
def test_measurements_are_never_open(family, values):
    assert sides(family, values) == [[0, 0, 0]]


def test_parts_of_models_with_extra_zeros():
    (main, zero) = sides("hurdle_poisson", [0, 1, 4])
    assert np.isnan(main[0])  # a zero tells nothing of the counts above it
    assert main[1:] == [-1, 0]  # one is the smallest count there
    assert zero == [1, -1, -1]
    assert sides("zero_inflated_poisson", [0, 4])[1] == [1, -1]


def test_directions_by_hand():
    one, x = np.ones(6), np.arange(6.0)
    complete, quasi, mixed = ([-1, -1, -1, 1, 1, 1], [-1, -1, 1, -1, 1, 1], [-1, 1, -1, 1, -1, 1])
    X = np.column_stack([one, x])
    for side, is_separated in ((complete, True), (quasi, False), (mixed, False)):
        direction = separating_direction(X, np.array(side, float))
        assert (direction is not None) == is_separated
        if direction is not None:
            assert (np.array(side) * (X @ direction) >= -1e-9).all()
            assert direction[1] > 0
    # rows that tie at the threshold: quasi-complete
    tied = np.column_stack([np.ones(4), [0.0, 1.0, 1.0, 2.0]])
    direction = separating_direction(tied, np.array([-1.0, -1.0, 1.0, 1.0]))
    assert direction is not None
    np.testing.assert_allclose(tied @ direction, [-direction[1], 0, 0, direction[1]], atol=1e-9)
    # a row with a maximum holds its own direction only: none is left in one column, one is in two
    counts = np.array([0.0, 0.0, -1.0])
    assert separating_direction(np.array([[1.0], [1.0], [1.0]]), counts) is None
    direction = separating_direction(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), counts)
    assert direction is not None
    np.testing.assert_allclose(direction / np.abs(direction).max(), [0.0, -1.0], atol=1e-9)


def random_data(n_clusters=60, size=5, seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_clusters), size)
    frame = pd.DataFrame({"g": g, "age": rng.normal(size=len(g)), "dose": rng.uniform(0, 10, size=len(g)).round(1)})
    frame["eta"] = 0.3 * frame.age + rng.normal(size=n_clusters)[g]
    return rng, frame


def diverging(formula, data, family, **given):
    with pytest.warns(ConvergenceWarning) as caught:
        found = gj.mixed_model(formula, random="~ 1 | g", data=data, family=family, **given)
    assert found.convergence.code is Code.DIVERGING
    text = str(caught[0].message)
    assert found.convergence.message in text
    return found, " ".join(text.split())


def test_a_factor_level_without_failures_is_named_and_the_advice_works():
    rng, data = random_data()
    data["treated"] = (data.g % 4 == 0).astype(float)  # constant in a cluster
    data["y"] = np.where(data.treated == 1, 1, rng.binomial(1, 1 / (1 + np.exp(-data.eta))))
    found, text = diverging("y ~ age + treated", data, "binomial")
    assert "Separation: the outcome is always 1 where `treated` = 1; the estimate of `treated` runs to +infinity." in text
    assert "penalized=True" in text
    assert "leave `treated` out" in text
    penalised = found.update(penalized=True)
    assert penalised.converged
    assert 0 < penalised.fe_params["treated"] < 20
    assert gj.mixed_model("y ~ age", random="~ 1 | g", data=data, family="binomial").converged


@pytest.mark.slow
def test_a_threshold_is_named_with_its_direction():
    rng, data = random_data()
    data["y"] = np.where(data.dose > 6.0, 0, rng.binomial(1, 0.5, size=len(data)))
    data["high"] = np.maximum(data.dose - 6.0, 0.0)
    _, text = diverging("y ~ age + high", data, "binomial")
    assert f"the outcome is always 0 where `high` >= {data.high[data.high > 0].min():.6g}" in text
    assert "the estimate of `high` runs to -infinity" in text


@pytest.mark.slow
def test_counts_that_are_all_zero_in_a_group():
    rng, data = random_data()
    data["banned"] = (data.dose < 2.0).astype(float)
    data["y"] = np.where(data.banned == 1, 0, rng.poisson(np.exp(data.eta + 0.5)))
    found, text = diverging("y ~ age + banned", data, "poisson")
    assert "Separation: the outcome is always 0 where `banned` = 1; the estimate of `banned` runs to -infinity." in text
    assert found.update(penalized=True).converged


@pytest.mark.slow
def test_several_columns_together():
    rng, data = random_data()
    data["site"] = np.array(["a", "b", "c"])[rng.integers(0, 3, size=len(data))]
    data["y"] = np.where(data.site == "a", 1, rng.binomial(1, 0.5, size=len(data)))
    _, text = diverging("y ~ age + site", data, "binomial")
    assert "a combination of `site[T.b]`, `site[T.c]` separates" in text
    assert re.search(r"that of `site\[T.b\]` to -infinity", text)


@pytest.mark.slow
def test_what_diverges_without_separation_is_not_called_so():
    _, data = random_data()
    data["y"] = data.g % 2  # no cluster is mixed: the variance of the random intercepts has no bound
    with pytest.warns(ConvergenceWarning) as caught:
        found = gj.mixed_model("y ~ age", random="~ 1 | g", data=data, family="binomial")
    text = " ".join(str(caught[0].message).split())
    assert "eparation" not in text
    if found.convergence.code is Code.DIVERGING:
        assert "variances of the random effects" in text
