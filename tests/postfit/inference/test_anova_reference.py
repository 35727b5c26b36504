"""Likelihood-ratio tests between reference cases, by the maxima of R's engine."""

import json

import pytest
from scipy.stats import chi2

import glmmjax as gj
from tests.reference_cases import FOLDER, load_case

STORED = {f"{t['model0'][:3]}-{t['model1'][:3]}": t for t in json.loads((FOLDER / "p_anova_lrt.json").read_text(encoding="utf-8"))["tests"]}
FAST = {"o01-o02": ("intro_fit", "diagonal_fit"), "o02-o03": ("diagonal_fit", "slope_fit")}


def assert_is_the_stored_test(name, fit0, fit1):
    found, expected = gj.anova(fit0, fit1), STORED[name]
    if fit0.fitted_model.problem.family != fit1.fitted_model.problem.family:
        # the smaller model is a limit of the larger one: half of R's p-value, which takes no notice of it (Self & Liang 1987)
        assert expected["df"] == found.comparison.df == 1
        assert found.statistic == pytest.approx(expected["LRT"], abs=1e-3)
        assert found.p_value == pytest.approx(0.5 * chi2.sf(found.statistic, 1), rel=1e-9)
        return
    # the engine's maxima are to 1e-4 or so, and so are ours
    off = 1e-3 + sum(map(error_by_axes, (fit0, fit1)))
    assert found.statistic == pytest.approx(expected["LRT"], abs=off)
    assert found.comparison.df == expected["df"]
    lowest, highest = chi2.sf([expected["LRT"] + off, expected["LRT"] - off], expected["df"])
    assert 0.996 * lowest < found.p_value < 1.004 * highest
    assert expected["p"] == pytest.approx(chi2.sf(expected["LRT"], expected["df"]), rel=5e-3)


def error_by_axes(fit):
    """The engine's nodes lie along other axes where effects are correlated: what that may change in a ratio."""
    is_correlated = max(fit.fitted_model.design.covariance.block_sizes, default=0) > 1
    return 2.0 * abs(fit.convergence.quadrature_error) if is_correlated else 0.0


@pytest.mark.parametrize("name", FAST)
def test_ratios_of_the_introductory_models(name, request):
    assert_is_the_stored_test(name, *map(request.getfixturevalue, FAST[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STORED if name not in FAST])
def test_ratios_of_other_cases(name):
    cases = [load_case(case) for case in name.split("-")]
    options = gj.Options(quadrature_limit=0.05)  # the engine's number of points is 8e-4 away from the integral of o51
    assert_is_the_stored_test(name, *(gj.mixed_model(**case.arguments, n_agq=case.n_agq, options=options) for case in cases))
