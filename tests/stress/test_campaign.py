"""The campaign judges the package, so its own parts are judged here: cases, densities, integrals, figures, workers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats
from scipy.special import expit

import glmmjax as gj
from benchmarks.stress import trial
from benchmarks.stress.campaign import Plan, numbers
from benchmarks.stress.cases import Natural, case, triple_of
from benchmarks.stress.densities import DENSITIES, N_TRIALS
from benchmarks.stress.grid import GRID, SHORT, family_of
from benchmarks.stress.integral import integral
from benchmarks.stress.outcomes import OUTCOMES
from benchmarks.stress.outside import is_pure, is_separable, without_effects
from benchmarks.stress.report import findings, goals, read
from benchmarks.stress.workers import Work, answered
from tests.stress.workers_of_tests import live

Y = np.arange(6.0)[:, None]
ETA = np.linspace(-3, 3, 5)
PHI, ZERO = np.array([0.3]), np.array(-0.4)
SIZE, MEAN = np.exp(PHI[0]), np.exp(ETA)


def negative_binomial(y):
    return scipy.stats.nbinom(SIZE, SIZE / (SIZE + MEAN)).logpmf(y)


def with_zeros(y, count, p_zero):
    return np.where(y == 0, np.log(expit(ZERO) + expit(-ZERO) * np.exp(count) * p_zero), np.log(expit(-ZERO)) + count)


TEXTBOOK = {
    "binomial": (Y[:2], lambda y: scipy.stats.bernoulli(expit(ETA)).logpmf(y)),
    "trials": (Y, lambda y: scipy.stats.binom(N_TRIALS, expit(ETA)).logpmf(y)),
    "poisson": (Y, lambda y: scipy.stats.poisson(MEAN).logpmf(y)),
    "zero_inflated_poisson": (Y, lambda y: with_zeros(y, scipy.stats.poisson(MEAN).logpmf(y), 1.0)),
    "negative_binomial": (Y, negative_binomial),
    "hurdle_negative_binomial": (Y, lambda y: with_zeros(y, negative_binomial(y) - np.log1p(-np.exp(negative_binomial(0.0))), 0.0)),
    "gaussian": (Y, lambda y: scipy.stats.norm(ETA, SIZE).logpdf(y)),
    "student_t": (Y, lambda y: scipy.stats.t(4, ETA, SIZE).logpdf(y)),
    "gamma": (Y + 0.5, lambda y: scipy.stats.gamma(SIZE, scale=MEAN / SIZE).logpdf(y)),
    "beta": ((Y + 0.5) / 7, lambda y: scipy.stats.beta(SIZE * expit(ETA), SIZE * expit(-ETA)).logpdf(y)),
}


@pytest.mark.parametrize("family", sorted(DENSITIES))
def test_densities(family):
    if family == "cumulative":
        phi = np.array([-1.0, 0.2, -0.3])
        cuts = np.array([-1.0, -1.0 + np.exp(0.2), -1.0 + np.exp(0.2) + np.exp(-0.3)])
        below = np.vstack([np.zeros(5), expit(cuts[:, None] - ETA), np.ones(5)])
        np.testing.assert_allclose(DENSITIES[family](Y[:4], ETA, phi, ZERO), np.log(np.diff(below, axis=0)), rtol=1e-11)
        return
    y, textbook = TEXTBOOK[family]
    np.testing.assert_allclose(DENSITIES[family](y, ETA, PHI, ZERO), textbook(y), rtol=1e-11)


def test_a_case_is_a_function_of_its_numbers_and_every_model_is_drawn():
    pd.testing.assert_frame_equal(case(5, 17).data, case(5, 17).data)
    assert not case(5, 17).data.equals(case(6, 17).data)
    drawn = {triple_of(1, index) for index in range(4_000)}
    assert drawn == {
        (family, structure, shape) for family, tries in GRID.items() for structure, shapes in tries.items() for shape in shapes
    }
    assert set(GRID) == set(OUTCOMES)
    assert drawn > SHORT


@pytest.mark.parametrize("index", [0, 4, 5, 6, 10, 12, 17, 44])
def test_starting_values_mean_the_truth_on_the_scale_that_is_fitted(index):
    c = case(2, index)
    given = c.given(c.truth)
    x = np.column_stack([np.ones(len(c.data)), c.data["x"], c.data["w"]])
    if c.kind.is_ordinal:
        np.testing.assert_allclose(given["phi"][0] - x[:, 1:] @ given["beta"], c.truth.phi[0] - c.X[:, 1:] @ c.truth.beta, rtol=1e-6)
        return
    factor = c.unit if c.kind.unit == "identity" else 1.0
    shift = np.log(c.unit) if c.kind.unit == "log" else 0.0
    np.testing.assert_allclose(x @ given["beta"], factor * (c.X @ c.truth.beta) + shift, rtol=1e-6, atol=1e-6 * factor)
    variance = lambda z, chol: ((z[:, : len(chol)] @ chol) ** 2).sum(1)  # noqa: E731
    np.testing.assert_allclose(variance(x, given["chol"]), factor**2 * variance(c.X, c.truth.chol), rtol=1e-6)


def one_cluster_at_a_time(c, at):
    """The log-likelihood by scipy's adaptive rule."""
    total = 0.0
    for _, rows in c.data.groupby("id"):
        y, x = rows["y"].to_numpy(float)[:, None], np.column_stack([np.ones(len(rows)), rows["x"], rows["w"]])

        def density(u, y=y, x=x):
            eta = (x @ at.beta)[:, None] + at.chol[0, 0] * u
            return np.exp(DENSITIES[c.family](y, eta, at.phi, np.zeros(1)).sum()) * scipy.stats.norm.pdf(u)

        total += np.log(scipy.integrate.quad(density, -12, 12, epsabs=0, epsrel=1e-10, points=[-2, 0, 2], limit=200)[0])
    return total


@pytest.fixture(scope="module")
def small():
    """A data set with five clusters."""
    return next(c for c in (case(2, index) for index in range(200)) if c.family == "poisson" and c.shape == "5x8" and c.scale == 1.0)


def test_the_integral_against_scipy(small):
    at = Natural(np.array([0.2, 0.3, -0.1]), np.array([[0.9]]), np.zeros(0), np.zeros(0))
    found = integral(small, at, np.zeros((5, 1)))
    assert found is not None
    np.testing.assert_allclose(found.value, one_cluster_at_a_time(small, at), rtol=1e-9)
    assert found.error < 1e-12


def is_tame(c):
    return c.scale == 1.0 and c.shift == 0.0 and c.unit == 1.0 and c.sd < 0.1 and c.intercept > -1


@pytest.mark.parametrize(
    ("family", "structure"),
    [("poisson", "q1"), ("gaussian", "q2"), ("hurdle_negative_binomial", "q1z"), pytest.param("poisson", "q3", marks=pytest.mark.slow)],
)
def test_the_gradient_of_the_integral_against_finite_differences(family, structure):
    c = next(c for c in (case(2, k) for k in range(2_000) if triple_of(2, k)[:2] == (family, structure)) if is_tame(c))
    chol = 0.3 * np.eye(c.q) + 0.1 * np.tril(np.ones((c.q, c.q)), -1)
    at, modes, r, h = c.truth._replace(chol=chol), np.zeros((c.data["id"].nunique(), c.q)), np.random.default_rng(1), 1e-4
    direction = Natural(*(r.normal(size=part.shape) for part in at))
    direction = direction._replace(chol=np.tril(direction.chol))
    found = integral(c, at, modes, with_gradient=True)
    beside = [integral(c, Natural(*(a + step * d for a, d in zip(at, direction, strict=True))), modes) for step in (h, -h)]
    assert found is not None
    assert found.gradient is not None
    up, down = (value.value for value in beside if value is not None)
    along = sum((slope * d).sum() for slope, d in zip(found.gradient, direction, strict=True))
    np.testing.assert_allclose(along, (up - down) / (2 * h), rtol=1e-5)


def test_what_is_known_from_outside(small):
    separated = next(c for c in (case(2, index) for index in range(500)) if c.is_separated and c.family == "binomial")
    assert is_separable(separated)
    assert not is_separable(small)
    assert not is_pure(small)
    found = without_effects(small)
    assert found is not None
    llf, at = found
    y, eta = small.data["y"].to_numpy(), np.column_stack([np.ones(len(small.data)), small.data["x"], small.data["w"]]) @ at.beta
    np.testing.assert_allclose(llf, scipy.stats.poisson(np.exp(eta)).logpmf(y).sum(), rtol=1e-10)
    np.testing.assert_allclose(small.X.T @ (y - np.exp(eta)), 0.0, atol=1e-3)  # the score of the model


@pytest.mark.parametrize(("index", "direction"), [(135, [-1, 0, 0]), (57, [-1, 0, 0]), (702, None), (39, None), (9, None)])
def test_separation_with_a_zero_part(index, direction):
    """No count but 0 beside extra zeros, and no positive count but 1 behind a hurdle: the likelihood rises as the mean falls, for ever."""
    c = case(2, index)
    assert is_separable(c) == (index in (135, 57, 702))
    y, at = c.data["y"].to_numpy(float)[:, None], c.truth
    if direction is not None:
        eta = [c.X @ (at.beta + t * np.array(direction)) for t in (0.0, 2.0, 4.0, 8.0)]
        values = np.stack([DENSITIES[c.family](y, e[:, None], at.phi, at.gamma) for e in eta])
        assert (np.diff(values, axis=0) >= -1e-12).all()  # no row loses
        assert (np.diff(values.sum(axis=(1, 2))) > 0).all()


NUMBERS = """sd=0.7 corr=0 intercept=.3 scale=1 shift=0 llf=-10 quadrature_error=0 seconds=.1 compiling=0 gap=0 glm_llf=-11 largest=1
    largest_phi=0 largest_gamma=0 sd_hat=1 true_llf=-10 true_shift=0 base_llf=-10 shift_of_rule=0 n_agq=11 seed=1"""
TEXTS = """family=poisson structure=q1 shape=60x10 separable=False pure=False status=ok converged=True code=CONVERGED has_nan=False
    has_nan_errors=False start=default base_code=CONVERGED base_converged=True singular=False best_code="""
GOOD: dict[str, Any] = {word.split("=")[0]: word.split("=")[1] for word in (NUMBERS + " " + TEXTS).split()}


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"gap": 0.01}, "converged, and more than 1e-3 below the best known"),
        ({"converged": False, "code": "NOT_FINITE", "llf": ""}, "no finite answer"),
        ({"separable": True}, "separated and converged"),
        ({"status": "hang", "converged": "", "code": ""}, "exceptions, hangs, dead workers"),
        ({"has_nan_errors": True}, "standard errors not finite although converged"),
        ({"true_llf": -10.001}, "integral further off than 2 x quadrature_error + 1e-4"),
        ({"base_llf": -10.00001}, "a scale or shift of the covariate moves the log-likelihood by more than 1e-6"),
        ({"glm_llf": -9.9}, "converged below the model without random effects"),
        ({"seconds": 100.0}, "slower than a minute"),
    ],
)
def test_a_planted_finding_is_found_and_fails_a_goal(tmp_path, change, finding):
    path = tmp_path / "record.csv"
    rows = [GOOD | {"index": index} for index in range(300)]
    pd.DataFrame(rows).to_csv(path, index=False)
    d = read(path)
    assert all(goals(d).values())
    assert all(found.empty for found in findings(d).values())
    pd.DataFrame([*rows[:-1], rows[-1] | change]).to_csv(path, index=False)
    d = read(path)
    assert not all(goals(d).values())
    assert list(findings(d)[finding]["index"]) == [299]


@pytest.mark.slow
def test_a_fit_that_stops_short_is_convicted_by_the_other_starts(monkeypatch):
    whole = trial.row_of(2, 6)
    assert whole["converged"]
    assert whole["gap"] < 1e-4
    assert abs(whole["true_llf"] - whole["llf"]) < 1e-4
    assert whole["true_shift"] < 0.02
    fit, none = trial.Case.fit, gj.Options(n_em=0, n_quasi_newton=0, n_newton=0)
    monkeypatch.setattr(trial.Case, "fit", lambda c, **changes: fit(c, **(changes or {"options": none})))
    stopped = trial.row_of(2, 6)
    assert not stopped["converged"]
    assert stopped["start"] != "default"
    np.testing.assert_allclose(stopped["gap"], whole["true_llf"] - stopped["true_llf"], atol=1e-4)
    assert stopped["gap"] > 0.01


def test_a_plan_takes_families_and_models(tmp_path):
    plan = Plan(seed=3, n=100, out=tmp_path / "record.csv", families=("gamma",))
    assert {family_of(index) for index in numbers(plan)} == {"gamma"}
    assert {triple_of(3, index) for index in numbers(Plan(seed=3, n=100, out=tmp_path / "record.csv", is_short=True))} <= SHORT


def test_workers_stay_with_a_group_while_there_is_another():
    order = [end.task for end in answered(Work(live, (1,), 60.0), [1, 2, 3, 4, 5, 6], jobs=1, group=lambda task: task % 2)]
    assert order == [1, 3, 5, 2, 4, 6]


def test_workers_that_hang_or_die_are_replaced():
    ends = {end.task: (end.answer, end.status) for end in answered(Work(live, (10,), 10.0), [1, 13, 2, 17, 3], jobs=1)}
    assert ends == {1: (10, "ok"), 13: (None, "died"), 2: (20, "ok"), 17: (None, "hang"), 3: (30, "ok")}
