"""Fitted values against R's exact computation, in the row order of the caller."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.mark.parametrize("kind", ["mean_subject", "subject_specific"])
def test_fitted_values_of_r(postfit_case, kind):
    if postfit_case.name == "o23":
        pytest.skip("GLMMadaptive's fitted values of a hurdle log-normal are on the log scale")
    np.testing.assert_allclose(postfit_case.fit.fitted(kind), postfit_case.p["fitted"][kind], rtol=2e-3, atol=1e-4)


def test_they_have_the_order_and_the_labels_of_the_rows(intro_fit, intro_binomial):
    shuffled = intro_binomial.sample(frac=1.0, random_state=3)
    other = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=shuffled, family="binomial")
    found = other.fitted("subject_specific")
    pd.testing.assert_index_equal(found.index, shuffled.index)
    np.testing.assert_allclose(found.sort_index(), intro_fit.fitted("subject_specific"), atol=1e-6)
    assert found.name == "fitted"
