"""Variance inflation factors: R's, the definition by regression, and models without terms."""

import dataclasses

import numpy as np
import pytest

from glmmjax.errors import ArgumentError
from glmmjax.postfit.inference.vif import variance_inflation


def test_factors_of_r(postfit_case):
    stored, found = postfit_case.p["VIF"], postfit_case.fit.vif()
    if "rows" in stored:
        expected = {row: values[:2] for row, values in zip(stored["rows"], stored["values"], strict=True)}
    else:
        expected = {row: [value, 1] for row, value in stored.items()}
    for name, (factor, df) in expected.items():
        (row,) = [row for row in found.index if set(row.split(":")) == set(name.split(":"))]
        assert found.loc[row, "GVIF"] == pytest.approx(factor, rel=2e-3)
        assert found.loc[row, "df"] == df
        assert found.loc[row, "GVIF^(1/(2 df))"] == pytest.approx(factor ** (1 / (2 * df)), rel=2e-3)
    assert len(found) == len(expected)


def test_with_one_column_a_factor_is_the_diagonal_of_the_inverse_correlation(intro_fit):
    covariance = intro_fit.cov_params().to_numpy()[1:, 1:]
    errors = np.sqrt(np.diagonal(covariance))
    expected = np.diagonal(np.linalg.inv(covariance / np.outer(errors, errors)))
    np.testing.assert_allclose(intro_fit.vif()["GVIF"], expected, rtol=1e-9)
    assert list(intro_fit.vif().index) == ["sex", "time", "sex:time"]


def test_fits_without_terms_or_standard_errors_are_refused(intro_fit, monkeypatch):
    fit = intro_fit.fitted_model
    with pytest.raises(ArgumentError, match="no certificate of a maximum"):
        variance_inflation(dataclasses.replace(fit, information=np.full((5, 5), np.nan)))
    monkeypatch.setattr("glmmjax.postfit.inference.vif.term_columns", lambda design: {})
    with pytest.raises(ArgumentError, match="no term but the intercept"):
        intro_fit.vif()
