"""The reference table itself: its numbers belong to its columns. Only numpy, scipy and patsy compute here."""

import numpy as np
import patsy
import pytest
from scipy.special import gammaln, log_ndtr, logsumexp
from scipy.stats import norm

from glmmjax import datasets
from tests.reference_cases import CASES, FAMILY_CASES, FOLDER, load_case, name_map

ONE_EFFECT = [name for name in CASES if load_case(name).q == 1]


def log_density(case, outcome, eta):
    """(n, K) log density of every row."""
    if case.family.name == "poisson":
        return outcome[0] * eta - np.exp(eta) - gammaln(outcome[0] + 1)
    if case.family.link.name == "cloglog":
        log_p, log_q = np.log(-np.expm1(-np.exp(eta))), -np.exp(eta)
    elif case.family.link.name == "probit":
        log_p, log_q = log_ndtr(eta), log_ndtr(-eta)
    else:
        log_p, log_q = -np.logaddexp(0, -eta), -np.logaddexp(0, eta)
    s, f = outcome if len(outcome) == 2 else (outcome[0], 1 - outcome[0])
    return gammaln(s + f + 1) - gammaln(s + 1) - gammaln(f + 1) + s * log_p + f * log_q


def outcome_columns(case):
    left = case.fixed.split("~")[0].strip()
    names = left.removeprefix("cbind(").removesuffix(")").split(",")
    return [case.data[name.strip()].to_numpy(float)[:, None] for name in names]


def trapezoid_llf(case, point):
    """Log-likelihood by the trapezoid rule on a fine common grid of u, one random intercept."""
    u = np.linspace(-8, 8, 1601)
    eta = (np.asarray(patsy.dmatrix(case.fixed.split("~")[1], case.data)) @ point.beta)[:, None] + np.sqrt(point.D[0, 0]) * u
    rows = log_density(case, outcome_columns(case), eta)
    codes, labels = case.data[case.group].factorize()
    joint = np.zeros((len(labels), len(u)))
    np.add.at(joint, codes, rows)
    clusters = logsumexp(joint + norm.logpdf(u), axis=1) + np.log(u[1] - u[0])
    return clusters @ (np.ones(len(labels)) if case.weights is None else case.weights.to_numpy())


@pytest.mark.parametrize("name", ONE_EFFECT)
def test_stored_values_belong_to_the_mapped_columns(name):
    case = load_case(name)
    for point in case.points:
        assert trapezoid_llf(case, point) == pytest.approx(point.brute_force, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_columns_are_those_of_patsy(name):
    case = load_case(name)
    assert set(case.r_names.values()) == set(case.fixed_names)
    assert len(case.fixed_names) == len(case.maximum.beta)
    assert np.isfinite(case.maximum.beta).all()


def test_names_are_built_from_the_factors():
    expected = {"(Intercept)": "Intercept", "trtdrug+": "trt[T.drug+]", "x": "x", "x:trtdrug+": "x:trt[T.drug+]"}
    assert name_map(list(expected), {"trt": ["placebo", "drug", "drug+"]}) == expected


def test_penalty_is_that_of_the_stored_values():
    for name in ("o05", "o06"):
        case = load_case(name)
        kernel, p = case.penalty, len(case.fixed_names)
        assert kernel is not None
        for point in case.points:
            z = (point.beta - kernel.mean) / kernel.scale
            assert point.penalty == pytest.approx(-(kernel.df + p) / 2 * np.log1p(z @ z / kernel.df), abs=1e-12)


@pytest.mark.parametrize(
    ("loader", "case"),
    [("intro_binomial", "o01"), ("intro_poisson", "o04"), ("cbpp", "o40"), ("epil", "o41"), ("bacteria", "o42")],
)
def test_shipped_data_are_the_reference_data(loader, case):
    shipped, reference = getattr(datasets, f"load_{loader}")(), load_case(case).data
    assert shipped.equals(reference)
    assert {c: list(shipped[c].cat.categories) for c in shipped.select_dtypes("category")} == {
        c: list(reference[c].cat.categories) for c in reference.select_dtypes("category")
    }


def test_every_stored_file_is_a_case():
    assert (len(CASES), len(FAMILY_CASES)) == (18, 23)
    assert {path.suffix for path in FOLDER.iterdir()} == {".csv", ".json", ".md"}
