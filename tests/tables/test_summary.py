"""What a fit prints: the page that GLMMadaptive prints, the certificate, singular and penalised fits, and nothing undefined."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.tables.frames import coefficient_frame, spread_frame
from glmmjax.tables.summary import summary

INTRO = """\
Call:
mixed_model('y ~ sex * time', random='~ 1 | id', data=..., family='binomial')

Data Descriptives:
Number of Observations: 800
Number of Groups: 100 (id, 8 rows each)

Model:
family: binomial
link: logit

Fit statistics:
    log.Lik       AIC       BIC
  -374.5197  759.0394  772.0653

Random effects covariance matrix:
           StdDev Std.Err
Intercept  2.0659  0.2462

Fixed effects:
                   Estimate Std.Err  z-value p-value
Intercept           -2.6193  0.4451  -5.8855  <1e-04
sex[T.female]       -1.3235  0.6439  -2.0556  0.0398
time                 0.2852  0.0396   7.2088  <1e-04
sex[T.female]:time   0.0401  0.0545   0.7360  0.4617

Integration:
method: adaptive Gauss-Hermite quadrature rule
quadrature points: 11
quadrature error: -7.9e-05 (change of log.Lik with 17 points)

Optimization:
converged: True
"""


def record(fit, design=None, **changes):
    """The record of a fit with other values."""
    fitted = fit.fitted_model
    return dataclasses.replace(fitted, design=dataclasses.replace(fitted.design, **(design or {})), **changes)


def without_certificate(fit, code=Code.NOT_A_MAXIMUM, **changes):
    """The fit as one that did not converge."""
    return record(fit, convergence=dataclasses.replace(fit.convergence, code=code, message=code.text), **changes)


def test_the_introductory_example(intro_fit):
    text = str(intro_fit)
    assert text.startswith(INTRO)
    assert "certified maximum" in text
    assert "Newton decrement: " in text
    assert text == str(intro_fit.summary()) == repr(intro_fit.summary())


def test_repr_is_one_line(intro_fit, no_effects_fit):
    expected = (
        "<MixedModelResults: binomial(logit), y ~ sex * time, ~ 1 | id; 800 rows in 100 clusters, log-likelihood -374.5197, converged>"
    )
    assert repr(intro_fit) == expected
    assert "800 rows, log-likelihood" in repr(no_effects_fit)
    assert "NOT CONVERGED" in repr(gj.MixedModelResults(without_certificate(intro_fit), intro_fit._refit))


def test_a_singular_fit_says_so_in_words(singular_fit):
    text = str(singular_fit)
    assert "The matrix is singular: the correlation of Intercept and time is 1." in text
    assert "certified maximum on the boundary" in " ".join(text.split())
    assert "nan" not in text.lower()
    assert f"time       {np.sqrt(singular_fit.cov_re.iloc[1, 1]):.4f}     1.0000" in text
    assert singular_fit.is_singular
    assert singular_fit.converged


def test_a_zero_variance_and_a_linear_combination_are_named(singular_fit):
    chol = np.array([[1e-7, 0.0], [0.0, 0.3]])
    fitted = record(singular_fit, params=singular_fit.params._replace(chol=chol))
    assert "The matrix is singular: Intercept has no variance." in str(summary(fitted))
    assert "Intercept  0.0000  Intercept\n" in str(summary(fitted))
    assert "nan" not in str(summary(fitted)).lower()


def test_correlations_stand_below_the_diagonal_with_their_errors(singular_fit):
    fitted = record(singular_fit, params=singular_fit.params._replace(chol=np.array([[0.5, 0.0], [0.1, 0.2]])), is_singular=False)
    lines = str(summary(fitted)).split("Random effects covariance matrix:\n")[1].splitlines()
    assert lines[0].split() == ["StdDev", "Std.Err", "Corr"]
    assert lines[1].split()[-1] == "Intercept"
    assert lines[2].split()[0] == "time"
    assert lines[2].split()[3] == "0.4472"
    assert lines[2].split()[4][0] + lines[2].split()[4][-1] == "()"
    assert list(spread_frame(fitted).index) == ["sd(Intercept)", "sd(time)", "corr(Intercept, time)"]


def test_a_penalised_fit_is_labelled_and_its_objective_stands_apart(penalized_fit):
    text = str(penalized_fit)
    assert "penalty: Student's t (mean 0, scale 1, df 3) on all fixed effects but the intercept" in text
    assert f"penalised objective: {penalized_fit.penalized_llf:.4f}" in text
    assert f"{penalized_fit.llf:.4f}" in text
    assert "Fixed effects (penalised):" in text
    assert "penalised objective" not in str(penalized_fit.update(penalized=False))


def test_penalties_are_told_apart(penalized_fit):
    for penalty, expected in [
        (gj.StudentTPenalty(1.0, 2.0, 4.0, include_intercept=True), "penalty: Student's t (mean 1, scale 2, df 4) on all fixed effects\n"),
        (gj.StudentTPenalty(joint=True), "penalty: joint Student's t (mean 0, scale 1, df 3) on all fixed effects\n"),
    ]:
        problem = dataclasses.replace(penalized_fit.fitted_model.problem, penalty=penalty)
        assert expected in str(summary(record(penalized_fit, problem=problem)))


def test_a_fit_without_random_effects_has_no_such_sections(no_effects_fit):
    text = str(no_effects_fit)
    assert "Random effects" not in text
    assert "Integration" not in text
    assert "Number of Groups" not in text


def test_dropped_rows_success_level_and_sizes_are_stated(intro_fit):
    sizes = np.array([3, *intro_fit.fitted_model.design.cluster_sizes[1:]])
    fitted = record(intro_fit, {"n_dropped": 17, "success_level": "yes", "cluster_sizes": sizes})
    text = str(summary(fitted))
    assert "Rows dropped for missing values: 17\nSuccess: y = yes\n" in text
    assert "(id, 3 to 8 rows each)" in text


def test_a_fit_without_certificate_prints_no_nan(intro_fit):
    information = intro_fit.fitted_model.information.copy()
    information[3] = information[:, 3] = 0.0
    text = str(summary(without_certificate(intro_fit, information=information)))
    assert "nan" not in text.lower()
    assert "sex[T.female]:time   0.0401       -        -       -\n-: not defined" in text
    assert "converged: False\nno certificate: " in text


def test_a_coarse_rule_advises_more_points(singular_fit):
    assert "without n_agq, finer rules are taken until it is below 1e-04" in str(singular_fit)
    assert "finer rules" not in str(
        summary(record(singular_fit, request=dataclasses.replace(singular_fit.fitted_model.request, n_agq=None)))
    )


def test_small_standard_errors_keep_two_digits(intro_fit):
    layout = intro_fit.fitted_model.problem.layout
    units = np.ones(layout.size)
    units[2:4] = 1e-4
    fitted = record(
        intro_fit, theta=intro_fit.fitted_model.theta * units, information=intro_fit.fitted_model.information / np.outer(units, units)
    )
    (line,) = [line for line in str(summary(fitted)).splitlines() if line.startswith("time ")]
    assert line.split() == ["time", "0.0000285", "0.0000040", "7.2088", "<1e-04"]


def test_call_shows_what_was_given(intro_fit):
    changes: Any = {"family": gj.families.Binomial("probit"), "weights": np.ones(3), "options": gj.Options(n_em=3), "n_agq": 5}
    text = str(summary(record(intro_fit, request=dataclasses.replace(intro_fit.fitted_model.request, **changes))))
    flat = " ".join(text.split())
    assert "data=..., family=Binomial(link='probit'), weights=..., n_agq=5, options=Options(n_em=3))" in flat


def test_tables_are_numbers(intro_fit, singular_fit):
    assert list(intro_fit.tables) == ["fit statistics", "random effects", "fixed effects"]
    assert all(dtype.kind == "f" for frame in intro_fit.tables.values() for dtype in frame.dtypes)
    assert intro_fit.summary().tables["fixed effects"].equals(coefficient_frame(intro_fit.fitted_model))
    assert singular_fit.tables["random effects"]["std_error"].isna().all()


def test_html_has_every_section(intro_fit):
    shown = intro_fit._repr_html_()
    assert shown.count("<h4>") == str(intro_fit).count(":\n") == 8
    assert "&lt;1e-04" in shown


@pytest.mark.parametrize("code", list(Code))
def test_every_outcome_has_a_page(intro_fit, code):
    text = str(summary(without_certificate(intro_fit, code)))
    assert f"converged: {code in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY, Code.CONVERGED_AT_FAMILY_LIMIT)}\n" in text
