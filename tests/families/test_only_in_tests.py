"""A family added by one file, one registry line and one row of the table works with every post-fit method, unchanged."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.families import FAMILIES
from tests.families import test_families as table
from tests.families.only_in_tests import ROWS

N_CLUSTERS, CLUSTER_SIZE = 40, 6
FAST = "geometric"  # the other one compiles all programs again
NAMES = [pytest.param(row.family.name, marks=() if row.family.name == FAST else pytest.mark.slow) for row in ROWS]
DISCRETE_ONLY = ("plot_rootogram",)
EMPTY = {"geometric": ("phi", "zi_params"), "logistic": ("zi_params",)}
pytestmark = pytest.mark.usefixtures("compile_quickly")

# arguments of the public methods of a fit; a method without a row is called with none
CALLS: dict[str, dict[str, Any]] = {
    "bootstrap": {"n": 3},
    "conf_int": {"which": "all"},
    "contrasts": {"newdata": "rows"},
    "cooks_distance": {"method": "one_step"},
    "cov_params": {"which": "all"},
    "dfbetas": {"method": "one_step"},
    "effects": {"newdata": "rows"},
    "export_predictor": {"path": "file", "n_draws": 100},
    "fitted": {"kind": "subject_specific"},
    "marginal_means": {"by": "group"},
    "plot_diagnostics": {"n": 20},
    "plot_dynamic": {"history": "rows", "x": "x"},
    "plot_effects": {"newdata": "rows", "x": "x"},
    "plot_influence": {"method": "one_step"},
    "plot_predictive": {"n": 20},
    "plot_qq": {"n": 20},
    "plot_residuals": {"n": 20},
    "predict": {"newdata": "rows", "kind": "marginal", "interval": 0.9},
    "predictor_rows": {"newdata": "rows", "newdata2": "rows"},
    "quantile_residuals": {"n": 20},
    "resid": {"kind": "deviance"},
    "save": {"path": "file"},
    "score_test": {"terms": "I(x**2)"},
    "simulate": {"n": 3, "parameter_uncertainty": True},
    "tidy": {"conf_int": True},
    "update": {"n_agq": 5},
    "wald_test": {"hypotheses": "x = 0, group[T.b] = 0"},
}


class Fitted(NamedTuple):
    """A fit of the family by its registered name, and its data."""

    name: str
    fit: gj.MixedModelResults
    data: pd.DataFrame

    @property
    def eta(self) -> np.ndarray:
        """Linear predictors of the rows at random effects 0."""
        intercept, group, x = self.fit.fe_params
        return np.asarray(intercept + group * (self.data["group"] == "b") + x * self.data["x"])

    @property
    def deviation(self) -> float:
        return float(np.sqrt(self.fit.cov_re.iloc[0, 0]))


def _data(name: str) -> pd.DataFrame:
    rng, n = np.random.default_rng(8), N_CLUSTERS * CLUSTER_SIZE
    cluster, x, group = np.repeat(np.arange(N_CLUSTERS), CLUSTER_SIZE), rng.normal(size=n), rng.choice(["a", "b"], n)
    eta = 0.8 + 0.4 * x - 0.5 * (group == "b") + 0.6 * rng.normal(size=N_CLUSTERS)[cluster]
    y = rng.geometric(1.0 / (1.0 + np.exp(eta))) - 1.0 if name == "geometric" else rng.logistic(eta, 0.5)
    return pd.DataFrame({"y": y, "x": x, "group": group, "id": cluster})


@pytest.fixture(scope="module", autouse=True)
def _registered():
    with pytest.MonkeyPatch.context() as patch:
        for row in ROWS:
            patch.setitem(FAMILIES, row.family.name, type(row.family))
        yield


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, _registered):
    data = _data(request.param)
    return Fitted(request.param, gj.mixed_model("y ~ group + x", random="~ 1 | id", data=data, family=request.param), data)


def _public(is_wanted: Callable[[Any], bool]) -> list[str]:
    names = [name for name in dir(gj.MixedModelResults) if not name.startswith("_")]
    return [name for name in names if is_wanted(inspect.getattr_static(gj.MixedModelResults, name))]


def _numbers(found: Any) -> np.ndarray:
    if isinstance(found, pd.Series):
        found = found.to_frame()
    if isinstance(found, pd.DataFrame):
        return found.select_dtypes("number").to_numpy(float)
    return np.asarray(found, float) if isinstance(found, int | float | np.ndarray) else np.ones(1)


def test_every_row_has_a_method():
    assert set(CALLS) <= set(_public(callable))


@pytest.mark.parametrize("name", _public(callable))
def test_every_method_takes_the_family(fitted, name, tmp_path):
    if name == "to_marginaleffects":
        pytest.importorskip("marginaleffects")
    given = {"rows": fitted.data.head(12), "file": str(tmp_path / "fit.glmm")}
    keywords = {key: given.get(value, value) if isinstance(value, str) else value for key, value in CALLS.get(name, {}).items()}
    method = getattr(fitted.fit, name)
    if name in ("r2", "icc"):  # they rest on a variance that the literature gives family by family
        with pytest.raises(ArgumentError, match=f"no R2 and no ICC for the {fitted.name} family"):
            method(**keywords)
        return
    if fitted.name == "logistic" and name in DISCRETE_ONLY:
        with pytest.raises(ArgumentError, match="the logistic family does not say that its outcomes are"):
            method(**keywords)
        return
    if name == "plot_calibration":
        with pytest.raises(ArgumentError, match=f"plot_calibration is for outcomes of 0 and 1.* the {fitted.name} family has others"):
            method(**keywords)
        return
    found = method(**keywords)
    if name == "plot_diagnostics":  # several panels
        assert all(panel.has_data() for panel in found)
        return
    assert np.isfinite(_numbers(found)).all()
    if isinstance(found, pd.DataFrame | pd.Series):
        assert len(found)
    if name.startswith("plot_"):
        assert found.has_data()
    if name == "save":
        assert gj.load(keywords["path"]).llf == fitted.fit.llf


@pytest.mark.parametrize("name", _public(lambda member: isinstance(member, property)))
def test_every_property_takes_the_family(fitted, name):
    found = getattr(fitted.fit, name)
    assert np.isfinite(_numbers(found)).all()
    assert not hasattr(found, "__len__") or len(found) or name in EMPTY[fitted.name]


def test_numbers_are_those_of_formulas(fitted):
    """The log-likelihood by scipy's quadrature and density; means, coefficients and residuals in closed form."""
    row = next(row for row in ROWS if row.family.name == fitted.name)
    y, eta, sd = fitted.data["y"].to_numpy(), fitted.eta, fitted.deviation
    phi = fitted.fit.phi.to_numpy()
    by_cluster = np.split(np.arange(len(y)), N_CLUSTERS)

    def integrand(b, rows):
        return np.exp(row.reference(y[rows], eta[rows] + b, phi).sum() + scipy.stats.norm.logpdf(b, 0.0, sd) + 10.0)

    values = [scipy.integrate.quad(integrand, -8 * sd, 8 * sd, (rows,), epsabs=0.0, points=[0.0], limit=200)[0] for rows in by_cluster]
    assert fitted.fit.llf == pytest.approx(np.log(values).sum() - 10.0 * N_CLUSTERS, abs=1e-5)
    is_log = fitted.name == "geometric"
    mean = np.exp(eta) if is_log else eta
    variance = mean + mean**2 if is_log else np.full_like(mean, np.pi**2 / 3.0 * phi[:1].sum() ** 2)
    shift = 0.5 * sd**2 if is_log else 0.0
    np.testing.assert_allclose(fitted.fit.predict(kind="marginal"), np.exp(eta + shift) if is_log else eta, rtol=1e-6)
    np.testing.assert_allclose(fitted.fit.marginal_coefs(se=False).params - fitted.fit.fe_params, [shift, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(fitted.fit.resid("pearson", at="mean_subject"), (y - mean) / np.sqrt(variance), rtol=1e-6)
    reference = [row.reference(y, at, phi) for at in (np.log(np.maximum(y, 1e-300)) if is_log else y, eta)]
    deviance = np.sqrt(2.0 * np.maximum(reference[0] - reference[1], 0.0))
    np.testing.assert_allclose(fitted.fit.resid("deviance", at="mean_subject"), np.sign(y - mean) * deviance, atol=1e-6)


@pytest.mark.slow
def test_an_extra_parameter_can_have_a_predictor():
    data = _data("logistic")
    fit = gj.mixed_model("y ~ group + x", random="~ 1 | id", data=data, family="logistic", dispersion="~ x")
    assert "Effects on the scale (free scale)" in str(fit.summary())
    assert np.isfinite(fit.resid("deviance")).all()
    assert fit.quantile_residuals(20).values.between(0.0, 1.0).all()


TABLE_TESTS = [
    test for name, test in vars(table).items() if name.startswith("test_") and list(inspect.signature(test).parameters) == ["row"]
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.family.name)
@pytest.mark.parametrize("test", TABLE_TESTS, ids=lambda test: test.__name__)
def test_the_row_runs_through_the_table(test, row):
    with jax.enable_x64(True), warnings.catch_warnings():
        test(row)
