"""Comparisons of fits: known likelihood ratios, tail probabilities against scipy, the boundary mixtures, and refusals."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, norm

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Code
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.postfit.inference.anova import compare
from glmmjax.postfit.uncertainty.p_values import chi_square_tail, mixture_tail, normal_two_sided


def changed(fit, design=None, **changes):
    """The record of a fit with other values."""
    record = fit.fitted_model
    return dataclasses.replace(record, design=dataclasses.replace(record.design, **(design or {})), **changes)


def with_effects(fit, names, sizes):
    """The fit as if it had other random effects and a little more log-likelihood."""
    layout = dataclasses.replace(fit.fitted_model.problem.layout, covariance=BlockDiagonal(sizes))
    problem = dataclasses.replace(fit.fitted_model.problem, layout=layout)
    design = {"random_names": names, "covariance": BlockDiagonal(sizes)}
    return changed(fit, design, problem=problem, log_likelihood=fit.llf + 1.0)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("x", [1e-6, 0.3, 2.0, 30.0, 400.0])
def test_chi_square_tail_is_its_finite_sum(x, df):
    """Abramowitz and Stegun (1964), 26.4.4 and 26.4.5."""
    half, first = 0.5 * x, 0.5 * (df % 2)
    terms = [math.exp((first + k) * math.log(half) - half - math.lgamma(first + k + 1.0)) for k in range(df // 2)]
    assert chi_square_tail(x, df) == pytest.approx(math.fsum([math.erfc(math.sqrt(half)) if df % 2 else 0.0, *terms]), rel=1e-10)


def test_chi_square_with_no_freedom_is_a_point_at_zero():
    assert chi_square_tail(0.0, 0) == 1.0
    assert chi_square_tail(1e-9, 0) == 0.0
    assert mixture_tail(2.0, {0: 0.5, 1: 0.5}) == pytest.approx(0.5 * chi2.sf(2.0, 1), rel=1e-12)
    assert mixture_tail(0.0, {0: 0.5, 1: 0.5}) == 1.0


def test_normal_tail_is_that_of_scipy():
    z = np.array([[0.0, -1.3], [5.0, 30.0]])
    np.testing.assert_allclose(normal_two_sided(z), 2 * norm.sf(np.abs(z)), rtol=1e-12)


def test_random_intercept_against_no_random_effects(no_effects_fit, intro_fit):
    found = gj.anova(no_effects_fit, intro_fit)
    assert found.statistic == pytest.approx(162.07, abs=0.005)
    assert list(found.table.index) == ["fit0", "fit1"]
    assert list(found.table.columns) == ["AIC", "BIC", "log.Lik", "LRT", "df", "p-value"]
    assert found.table.loc["fit1", ["AIC", "BIC"]].to_list() == pytest.approx([759.0394, 772.0653], abs=1e-4)
    # the same count of independent units in both rows, and not 800 against 100
    assert found.table.loc["fit0", "BIC"] == pytest.approx(-2 * no_effects_fit.llf + 4 * math.log(100))
    assert "BIC counts the 100 clusters in both rows" in str(found)
    assert "162.07  1  <1e-04" in str(found)
    assert "variance of Intercept to 0, on the boundary" in str(found)


def test_order_of_the_fits_does_not_matter(no_effects_fit, intro_fit):
    found = gj.anova(intro_fit, no_effects_fit)
    assert list(found.table.index) == ["fit1", "fit0"]
    assert found.statistic == gj.anova(no_effects_fit, intro_fit).statistic


def test_boundary_of_one_variance_halves_the_p_value(intro_fit, diagonal_fit):
    plain, mixed = gj.anova(intro_fit, diagonal_fit), gj.anova(intro_fit, diagonal_fit, boundary=True)
    assert plain.statistic == pytest.approx(30.0965, abs=1e-3)
    assert plain.p_value == pytest.approx(chi2.sf(plain.statistic, 1), rel=1e-10)
    assert mixed.p_value == pytest.approx(0.5 * chi2.sf(plain.statistic, 1), rel=1e-10)
    assert "0.5 chi2(0) + 0.5 chi2(1) (Self & Liang 1987; Stram & Lee 1994): it applies when" in " ".join(str(mixed).split())


def test_boundary_of_a_correlated_effect_is_the_mixture_of_stram_and_lee(intro_fit, slope_fit):
    found = gj.anova(intro_fit, slope_fit, boundary=True)
    expected = 0.5 * chi2.sf(found.statistic, 1) + 0.5 * chi2.sf(found.statistic, 2)
    assert found.p_value == pytest.approx(expected, rel=1e-10)
    assert found.comparison.df == 2


def test_boundary_of_independent_variances_is_binomial(no_effects_fit, diagonal_fit):
    found = gj.anova(no_effects_fit, diagonal_fit, boundary=True)
    assert found.comparison.weights == {0: 0.25, 1: 0.5, 2: 0.25}
    assert "uncorrelated" in str(found)


@pytest.mark.parametrize(
    ("old", "old_sizes", "new", "new_sizes", "weights"),
    [
        (("a", "b"), (2,), ("a", "b", "c"), (3,), {2: 0.5, 3: 0.5}),
        (("a", "b"), (1, 1), ("a", "b", "c"), (1, 2), {1: 0.5, 2: 0.5}),
        (("a", "b"), (2,), ("a", "b", "c"), (2, 1), {0: 0.5, 1: 0.5}),
    ],
)
def test_mixture_of_a_step_between_structures(intro_fit, old, old_sizes, new, new_sizes, weights):
    smaller = dataclasses.replace(with_effects(intro_fit, old, old_sizes), log_likelihood=intro_fit.llf)
    assert compare(smaller, with_effects(intro_fit, new, new_sizes), boundary=True).weights == weights


def test_boundary_refuses_what_no_mixture_covers(no_effects_fit, intro_fit, diagonal_fit, slope_fit):
    with pytest.raises(ArgumentError, match=r"from random effects none to \(Intercept, time\) is not covered"):
        gj.anova(no_effects_fit, slope_fit, boundary=True)
    with pytest.raises(ArgumentError, match="no variance is added"):
        gj.anova(diagonal_fit, slope_fit, boundary=True)
    with pytest.raises(ArgumentError, match="differ in their random effects only"):
        compare(changed(intro_fit, {"fixed_names": ("Intercept", "a", "b", "c")}), diagonal_fit.fitted_model, boundary=True)
    with pytest.raises(ArgumentError, match="the smaller model is itself singular"):
        compare(changed(intro_fit, is_singular=True), diagonal_fit.fitted_model, boundary=True)


def test_correlation_alone_has_the_plain_test(diagonal_fit, slope_fit):
    found = gj.anova(diagonal_fit, slope_fit)
    assert found.statistic == pytest.approx(1.3635, abs=5e-3)  # R's 11 points lie along other axes, and are .01 off the integral, as ours
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 1), rel=1e-10)
    assert "boundary" not in str(found)


def test_equal_numbers_of_parameters_have_no_test(intro_fit):
    found = gj.anova(intro_fit, intro_fit)
    assert (found.statistic, found.p_value) == (None, None)
    assert "No test: both models have the same number of parameters" in str(found)
    assert "nan" not in str(found).lower()


def test_a_larger_model_below_the_smaller_one_has_no_test(intro_fit, diagonal_fit):
    lower = dataclasses.replace(diagonal_fit.fitted_model, log_likelihood=intro_fit.llf - 1.0)
    found = compare(intro_fit.fitted_model, lower)
    assert found.statistic is None
    assert "lower log-likelihood" in found.notes[-1]


def test_equal_maxima_have_a_statistic_of_zero(intro_fit, diagonal_fit):
    found = compare(intro_fit.fitted_model, dataclasses.replace(diagonal_fit.fitted_model, log_likelihood=intro_fit.llf - 1e-12))
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_a_fit_without_certificate_is_named(intro_fit, diagonal_fit):
    convergence = dataclasses.replace(diagonal_fit.convergence, code=Code.DECREMENT_TOO_LARGE)
    found = compare(intro_fit.fitted_model, dataclasses.replace(diagonal_fit.fitted_model, convergence=convergence))
    assert "fit1 did not converge" in " ".join(found.notes)


def test_penalised_fits_are_refused(intro_fit, penalized_fit):
    with pytest.raises(ArgumentError, match=r"fit1 is a penalised fit.*fit1.update\(penalized=False\)"):
        gj.anova(intro_fit, penalized_fit)


def test_fits_of_other_data_are_refused(intro_fit, poisson_fit):
    rows = intro_fit.fitted_model.design.row_labels
    with pytest.raises(ArgumentError, match=r"fit0 uses 800 rows and fit1 uses 799\. Fit both models to the same rows"):
        compare(intro_fit.fitted_model, changed(intro_fit, {"row_labels": rows[1:]}))
    with pytest.raises(ArgumentError, match="different outcomes"):
        gj.anova(intro_fit, poisson_fit)
    formula = intro_fit.fitted_model.design.formula
    by_school = dataclasses.replace(formula, bars=tuple(dataclasses.replace(bar, group="school") for bar in formula.bars))
    with pytest.raises(ArgumentError, match="different clusters"):
        compare(intro_fit.fitted_model, changed(intro_fit, {"formula": by_school}))


def test_fits_with_other_weights_are_refused(intro_fit):
    clusters = intro_fit.fitted_model.design.clusters
    heavier = clusters._replace(buckets=tuple(b._replace(cluster_weight=2.0 * np.asarray(b.cluster_weight)) for b in clusters.buckets))
    with pytest.raises(ArgumentError, match="different cluster weights"):
        compare(intro_fit.fitted_model, changed(intro_fit, {"rows": heavier}))


def test_html_has_the_table_and_the_notes(no_effects_fit, intro_fit):
    shown = gj.anova(no_effects_fit, intro_fit)._repr_html_()
    assert "162.07" in shown
    assert "BIC counts" in shown
    assert "&lt;1e-04" in shown


@pytest.mark.slow
def test_models_that_are_not_nested_are_not_tested(intro_binomial, no_effects_fit, intro_fit):
    sex = gj.mixed_model("y ~ sex", random="~ 1 | id", data=intro_binomial, family="binomial")
    time = gj.mixed_model("y ~ time", random="~ time || id", data=intro_binomial, family="binomial")
    probit = gj.mixed_model("y ~ sex * time", data=intro_binomial, family=gj.families.Binomial("probit"))
    for found, why in (
        (gj.anova(sex, time), "the fixed effects of the smaller one are no part"),
        (gj.anova(probit, intro_fit), r"binomial\(probit\) and binomial\(logit\)"),
        (gj.anova(intro_fit.update(n_agq=1), time.update(fixed="y ~ sex * time")), "by 1 and 11 points"),
    ):
        assert found.p_value is None
        assert re.search(why, " ".join(str(found).split()))
    # other columns with the same span are nested
    assert gj.anova(sex.update(fixed="y ~ 0 + sex"), intro_fit).p_value is not None


def test_what_is_no_fit_is_refused(intro_fit):
    anything: Any = 3
    with pytest.raises(ArgumentError, match="fit1=3 must be a fit, as mixed_model returns it"):
        gj.anova(intro_fit, anything)
