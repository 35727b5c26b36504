"""From a formula and a table to results: known maxima, arguments and their errors, update, progress, interruption, the public names."""

import contextlib
import dataclasses
import inspect
import io
import pickle
import re
import signal
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax import datasets, model
from glmmjax.errors import ArgumentError, ConvergenceWarning, DesignWarning, FormulaError, GlmmError
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.maximum import Maximum, Progress
from glmmjax.fitted import fitted_model
from glmmjax.initial_values import initial_theta
from glmmjax.request import RuleRequest, updated

FIXED = "y ~ sex * time"
INTRO: dict[str, Any] = {"fixed": FIXED, "random": "~ 1 | id", "family": "binomial"}
ROOT = Path(__file__).parents[1]


def run(code, *arguments):
    """Standard output of ``code`` in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout


# known maxima


def test_introductory_binomial_fit(intro_fit):
    assert intro_fit.converged
    assert not intro_fit.is_singular
    assert intro_fit.llf == pytest.approx(-374.519707, abs=1e-5)
    assert intro_fit.fe_params.to_list() == pytest.approx([-2.61934, -1.32350, 0.28524, 0.04010], abs=1e-5)
    assert list(intro_fit.fe_params.index) == ["Intercept", "sex[T.female]", "time", "sex[T.female]:time"]
    assert intro_fit.bse_fe.to_list() == pytest.approx([0.44505, 0.64386, 0.039568, 0.054480], rel=2e-4)
    assert intro_fit.cov_re.loc["Intercept", "Intercept"] == pytest.approx(4.2680, abs=1e-4)
    assert (intro_fit.aic, intro_fit.bic) == pytest.approx((759.0394, 772.0653), abs=1e-4)
    assert (intro_fit.nobs, intro_fit.n_groups, intro_fit.df_params) == (800, 100, 5)


def test_introductory_poisson_fit(poisson_fit):
    assert poisson_fit.converged
    assert poisson_fit.llf == pytest.approx(-2756.29836, abs=1e-4)
    assert poisson_fit.fe_params.to_list() == pytest.approx([2.11101, -0.30655, 0.24021, -0.050985], abs=1e-5)
    assert poisson_fit.cov_re.iloc[0, 0] == pytest.approx(0.567586, abs=1e-5)


def test_singular_and_diagonal_fits(singular_fit, diagonal_fit):
    assert diagonal_fit.llf >= -359.4720
    assert singular_fit.convergence.code is Code.CONVERGED_ON_BOUNDARY
    assert diagonal_fit.cov_re.loc["Intercept", "time"] == 0.0
    assert (np.diagonal(singular_fit.params.chol) >= 0).all()


def test_wald_statistics_follow_from_estimates(intro_fit):
    np.testing.assert_allclose(intro_fit.zvalues, intro_fit.fe_params / intro_fit.bse_fe)
    assert intro_fit.pvalues["sex[T.female]"] == pytest.approx(0.0398, abs=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diagonal(intro_fit.cov_params())), intro_fit.bse_fe)
    assert list(intro_fit.cov_params().columns) == list(intro_fit.fe_params.index)
    assert len(intro_fit.phi) == len(intro_fit.zi_params) == 0


def test_params_give_the_log_likelihood_back(intro_fit, singular_fit):
    for fit in (intro_fit, singular_fit):
        record = fit.fitted_model
        with jax.enable_x64(True):
            value = gj.log_likelihood(fit.params, record.design.clusters, record.problem.family, n_agq=record.n_agq)
        assert float(value) == pytest.approx(fit.llf, abs=1e-8)


def test_a_fit_leaves_the_precision_of_the_process_alone(intro_fit):
    assert jax.numpy.ones(1).dtype == np.float32
    assert intro_fit.fe_params.dtype == np.float64


def test_penalised_fit_has_two_log_likelihoods(penalized_fit, intro_fit):
    assert penalized_fit.penalized_llf < penalized_fit.llf < intro_fit.llf
    assert abs(penalized_fit.fe_params["sex[T.female]"]) < abs(intro_fit.fe_params["sex[T.female]"])
    assert penalized_fit.fitted_model.problem.is_intercept == (True, False, False, False)
    assert intro_fit.penalized_llf == intro_fit.llf


def test_sign_of_the_factor_is_canonical_in_everything_that_has_it(intro_fit):
    fitted = intro_fit.fitted_model
    flip = np.array([1.0, 1, 1, 1, -1])
    maximum = Maximum(
        fitted.theta * flip,
        -fitted.information * np.outer(flip, flip),
        fitted.log_likelihood,
        fitted.objective,
        _blocks_of(fitted, -fitted.modes),
        fitted.convergence,
        False,
    )
    again = fitted_model(fitted.request, fitted.design, fitted.problem, maximum)
    np.testing.assert_allclose(again.theta, fitted.theta)
    np.testing.assert_allclose(again.information, fitted.information)
    np.testing.assert_allclose(again.modes, fitted.modes)


def _blocks_of(fitted, modes):
    (bucket,) = fitted.design.clusters.buckets
    flat = np.zeros((bucket.cluster_weight.size, 1))
    flat[np.asarray(fitted.design.clusters.slots)] = modes
    return (flat.reshape(*bucket.cluster_weight.shape, 1).swapaxes(1, 2),)


# arguments


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_agq": 0}, "n_agq=0 must be a whole number from 1"),
        ({"n_agq": 2.5}, r"n_agq=2\.5 must be a whole number"),
        ({"n_agq": True}, "n_agq=True must be a whole number"),
        ({"n_agq": "many"}, "n_agq='many' must be .* also takes 'auto'"),
        ({"penalized": 1}, r"penalized=1 must be True, False, or a StudentTPenalty"),
        ({"options": {}}, r"options=\{\} must be a glmmjax.Options"),
        ({"progress": "yes"}, "progress='yes' must be True, False, or a function"),
        ({"initial_values": 3}, "initial_values=3 must be a Params, or a dict"),
        ({"initial_values": {"betas": [0]}}, "must be a Params, or a dict with the names beta, D"),
        ({"initial_values": {"beta": [0, 0], "D": [[1]]}}, r"initial_values\['beta'\]=\[0, 0\] must be finite numbers with shape \(4,\)"),
        ({"initial_values": {"beta": ["a"] * 4, "D": [[1]]}}, r"initial_values\['beta'\].* must be finite numbers"),
        ({"initial_values": {"beta": [0] * 4}}, r"initial_values has no 'D'; this model needs it, with shape \(1, 1\)"),
        ({"initial_values": {"beta": [0] * 4, "D": [[-1]]}}, "must be a covariance matrix"),
        ({"initial_values": {"beta": [0] * 4, "D": [[np.nan]]}}, "must be finite numbers"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(intro_binomial, keywords, message):
    with pytest.raises(ArgumentError, match=message):
        gj.mixed_model(**INTRO, data=intro_binomial, **keywords)


def test_of_two_wrong_arguments_the_first_of_the_signature_is_named(intro_binomial):
    wrong: list[tuple[str, Any]] = [
        ("fixed", "y ~"),
        ("penalized", 1),
        ("n_agq", 0),
        ("initial_values", 3),
        ("options", {}),
        ("devices", "abacus"),
        ("progress", "yes"),
    ]
    for first, (name, _) in enumerate(wrong):
        with pytest.raises(GlmmError, match=rf"^{name}="):
            gj.mixed_model(**{**INTRO, "data": intro_binomial, **dict(wrong[first:])})


def test_a_request_has_the_arguments_of_mixed_model_and_what_they_mean(intro_fit):
    request = intro_fit.fitted_model.request
    arguments = inspect.signature(gj.mixed_model).parameters
    fields = dataclasses.fields(request)
    assert [field.name for field in fields] == list(arguments)
    assert all(getattr(request, name) == argument.default for name, argument in arguments.items() if name not in (*INTRO, "data"))
    assert (request.family, request.resolved_family, request.rule, request.penalty) == (
        "binomial",
        gj.families.Binomial(),
        RuleRequest(),
        None,
    )
    other = updated(request, {"n_agq": "auto", "penalized": True})
    assert (other.rule, other.penalty, other.data is request.data) == (RuleRequest(), gj.StudentTPenalty(), True)
    assert [RuleRequest().quadrature(q).n_points for q in range(1, 5)] == [11, 11, 7, 5]
    with pytest.raises(ArgumentError, match="n_agq=60 with 3 random effects makes 216,000 quadrature nodes"):
        RuleRequest(60).quadrature(3)


def test_initial_values_outside_the_structure_are_refused(intro_binomial):
    start = {"beta": [0] * 4, "D": [[1.0, 0.5], [0.5, 1.0]]}
    with pytest.raises(ArgumentError, match=r"initial_values: D = chol chol' is .*, which the model's covariance structure does not have"):
        gj.mixed_model(FIXED, random="~ time || id", data=intro_binomial, family="binomial", initial_values=start)


@pytest.mark.parametrize("as_params", [True, False])
def test_initial_values_at_the_maximum_leave_little_to_do(intro_binomial, intro_fit, as_params):
    start = intro_fit.params if as_params else {"beta": intro_fit.fe_params, "D": intro_fit.cov_re}
    fit = gj.mixed_model(**INTRO, data=intro_binomial, initial_values=start)
    assert fit.llf == pytest.approx(intro_fit.llf, abs=1e-9)
    assert fit.convergence.n_evaluations < intro_fit.convergence.n_evaluations


def test_a_singular_initial_covariance_is_accepted(singular_fit):
    layout = singular_fit.fitted_model.problem.layout
    theta = initial_theta({"beta": np.zeros(4), "D": [[1.0, 2.0], [2.0, 4.0]]}, layout)
    assert theta is not None
    chol = np.array([[theta[4], 0.0], theta[5:7]])
    np.testing.assert_allclose(chol @ chol.T, [[1.0, 2.0], [2.0, 4.0]], atol=1e-12)


def test_random_effects_may_stand_in_the_formula(intro_binomial, intro_fit):
    fit = gj.mixed_model(FIXED + " + (1 | id)", data=intro_binomial, family=gj.families.Binomial())
    assert fit.llf == pytest.approx(intro_fit.llf, abs=1e-10)


def test_names_in_formulas_are_those_of_the_caller(intro_binomial):
    def half(x):
        return x / 2

    fit = gj.mixed_model("y ~ sex * half(time)", random="~ 1 | id", data=intro_binomial, family="binomial")
    assert "half(time)" in fit.fe_params.index
    assert fit.update(n_agq=9).fe_params["half(time)"] == pytest.approx(fit.fe_params["half(time)"], rel=0.05)


def test_names_that_the_caller_lacks_are_an_error(intro_binomial):
    with pytest.raises(FormulaError, match="no_such_function"):
        gj.mixed_model("y ~ no_such_function(time)", random="~ 1 | id", data=intro_binomial, family="binomial")


def test_default_numbers_of_points():
    assert [gj.options.default_n_agq(q) for q in range(6)] == [11, 11, 11, 7, 5, 3]


def test_auto_raises_the_number_of_points_until_the_value_settles(intro_fit):
    assert intro_fit.update(n_agq="auto").convergence.n_agq == 11
    finer = intro_fit.update(n_agq="auto", options=gj.Options(quadrature_tolerance=1e-6))
    assert finer.convergence.n_agq > 11
    assert abs(finer.convergence.quadrature_error) < 1e-6
    with pytest.warns(ConvergenceWarning, match=r"No rule has settled: with 11 points .*options=Options\(max_agq=25\)"):
        intro_fit.update(n_agq="auto", options=gj.Options(quadrature_tolerance=1e-6, max_agq=12))


# update


@pytest.mark.parametrize("fixed", [". ~ 1", "~ sex"])
def test_an_update_by_dots_does_not_take_the_random_effects_away(as_if_fitted, intro_binomial, fixed):
    """They stand in the formula, and a model without them would be another question."""
    fit = as_if_fitted("y ~ sex + (1 | id)", data=intro_binomial, family="binomial")
    with pytest.raises(
        FormulaError, match=r"leaves out the random effects.*write fixed='.* \+ \(1 \| id\)', or 'y ~ (1|sex)' for a"
    ) as caught:
        fit.update(fixed=fixed)
    kept, without = re.findall(r"'([^']+)'", str(caught.value))[-2:]
    assert fit.update(fixed=kept).fitted_model.design.group_name == "id"
    assert fit.update(fixed=without).fitted_model.design.group_name is None
    assert fit.update(fixed=". ~ . - sex").fitted_model.design.group_name == "id"
    assert fit.update(fixed=". ~ 1", random="~ 1 | id").fitted_model.design.group_name == "id"


def test_update_refits_from_the_estimates(intro_fit):
    same = intro_fit.update()
    assert same.convergence.n_evaluations < intro_fit.convergence.n_evaluations
    assert same.llf == pytest.approx(intro_fit.llf, abs=1e-9)
    assert intro_fit.update(n_agq=1).convergence.n_agq == 1


def test_update_to_another_model_starts_afresh(intro_fit, no_effects_fit):
    assert intro_fit.update(random=None).llf == pytest.approx(no_effects_fit.llf, abs=1e-9)


def test_update_takes_the_formula_first(intro_fit):
    assert intro_fit.update("y ~ sex + time").llf == intro_fit.update(fixed="y ~ sex + time").llf


@pytest.mark.parametrize(
    ("change", "formula"),
    [
        (". ~ . - sex:time", "y ~ sex + time"),
        ("~ . - sex:time", "y ~ sex + time"),
        (". ~ time", "y ~ time"),
        (". ~ . + (sex + time) - 1", "y ~ 0 + sex * time"),
    ],
)
def test_update_reads_dots_as_r_does(intro_fit, change, formula):
    assert intro_fit.update(change).llf == pytest.approx(intro_fit.update(formula).llf, abs=1e-9)


def test_update_keeps_random_effects_that_stand_in_the_formula(intro_fit):
    fit = intro_fit.update("y ~ sex + time + (1 | id)", random=None)
    assert fit.update("~ . - sex").llf == pytest.approx(intro_fit.update("y ~ time").llf, abs=1e-9)


def test_update_refuses_an_unknown_keyword(intro_fit):
    with pytest.raises(ArgumentError, match=r"update\(nAGQ=...\) is no keyword of mixed_model; choose among fixed, random"):
        intro_fit.update(nAGQ=3)


def test_results_survive_pickling(intro_fit):
    again = pickle.loads(pickle.dumps(intro_fit))
    assert str(again) == str(intro_fit)
    assert again.update().llf == pytest.approx(intro_fit.llf, abs=1e-9)


# warnings, progress, interruption


def test_a_fit_without_certificate_gives_one_warning(monkeypatch, intro_fit, intro_binomial):
    def stop_short(*arguments, **keywords):
        found = intro_fit.fitted_model
        code = Code.DECREMENT_TOO_LARGE
        convergence = dataclasses.replace(found.convergence, code=code, message=code.text, newton_decrement=0.25)
        return Maximum(found.theta, -found.information, -380.0, -380.0, _blocks_of(found, found.modes), convergence, False)

    monkeypatch.setattr(model, "maximise", stop_short)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = gj.mixed_model(**INTRO, data=intro_binomial)
        fit.update()
    assert [warning.category for warning in caught] == [ConvergenceWarning] * 2
    assert {warning.filename for warning in caught} == {__file__}
    assert "promises a gain" in str(caught[0].message)
    assert "(Newton decrement 0.25, log-likelihood -380.0000, quadrature error" in str(caught[0].message)
    assert not fit.converged


def test_warnings_of_the_design_point_at_the_line_of_the_caller(as_if_fitted, intro_binomial, tmp_path):
    one, alone = intro_binomial.assign(all=1), intro_binomial.assign(row=range(len(intro_binomial)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = as_if_fitted(FIXED, random="~ 1 | all", data=one, family="binomial")
        streamed = as_if_fitted(FIXED, random="~ 1 | all", data=gj.stream([one]), family="binomial")
        fit.update(random="~ 1 | row", data=alone)
        streamed.update(random="~ 1 | row", data=gj.stream([alone]))
        gj.make_design(FIXED, random="~ 1 | all", data=one, family="binomial")
        fit.save(tmp_path / "fit")
        gj.load(tmp_path / "fit")
    assert [warning.category for warning in caught] == [DesignWarning] * 5
    assert {warning.filename for warning in caught} == {__file__}
    assert [warning.lineno for warning in caught] == sorted({warning.lineno for warning in caught})
    assert ["nothing repeats" in str(warning.message) for warning in caught] == [False, False, True, True, False]


def test_a_monitor_is_told_every_step(intro_fit):
    steps: list[Progress] = []
    fit = intro_fit.update(progress=steps.append, initial_values=intro_fit.params._replace(beta=np.zeros(4)))
    assert {step.phase for step in steps} >= {"quasi-Newton", "Newton"}
    assert steps[-1].log_likelihood == pytest.approx(fit.llf)


def test_progress_prints_a_final_line_where_there_is_no_terminal(intro_fit, capsys):
    intro_fit.update(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("glmmjax: ")
    assert "log-likelihood -374.5197, gradient norm" in err


@pytest.mark.parametrize("is_closed", [True, False])
def test_progress_without_a_stream_is_no_reason_to_fail(intro_fit, monkeypatch, is_closed):
    """``sys.stderr`` is None in programs without a console, and closed in some services."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if is_closed else None)
    assert intro_fit.update(progress=True).llf == pytest.approx(intro_fit.llf)


def test_progress_updates_one_line_in_a_terminal(intro_fit, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    intro_fit.update(progress=True, initial_values=intro_fit.params._replace(beta=np.zeros(4)))
    err = capsys.readouterr().err
    assert err.count("\r") > 2
    assert err.count("\n") == 1
    assert err.endswith("\n")


def test_interruption_says_how_far_the_fit_came(intro_fit):
    def interrupt(step):
        if step.phase == "Newton":
            raise KeyboardInterrupt

    text = r"glmmjax: fit stopped by the user in the Newton phase, after iteration \d+ \(log-likelihood -374\.\d{4}\)"
    with pytest.raises(KeyboardInterrupt, match=text) as caught:
        intro_fit.update(progress=interrupt, initial_values=intro_fit.params._replace(beta=np.zeros(4)))
    assert caught.value.__suppress_context__


def test_interruption_before_the_first_step(monkeypatch, intro_fit):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "maximise", interrupt)
    with pytest.raises(KeyboardInterrupt, match="fit stopped by the user while it was compiled"):
        intro_fit.update()


def test_an_interrupt_that_python_drops_stops_the_fit_all_the_same(intro_binomial):
    """An exception in a weak reference's callback, such as those of JAX's caches, goes nowhere."""
    seen = []

    def drop(step):
        seen.append(step)
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="fit stopped by the user in the"):
        gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=intro_binomial, family="binomial", progress=drop)
    assert len(seen) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_caller_stays(intro_binomial):
    own = lambda *_: None  # noqa: E731
    before = signal.signal(signal.SIGINT, own)
    try:
        handlers = []
        watch = lambda _: handlers.append(signal.getsignal(signal.SIGINT))  # noqa: E731
        gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=intro_binomial, family="binomial", progress=watch)
    finally:
        signal.signal(signal.SIGINT, before)
    assert set(handlers) == {own}


# the package


def test_public_names_are_there():
    assert set(gj.__all__) < set(dir(gj))
    assert all(getattr(gj, name) is not None for name in gj.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'glmer'"):
        gj.glmer  # noqa: B018


def test_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert gj.__version__ == project["version"]


def test_compilation_cache_is_filled(tmp_path):
    code = """
import sys, jax, glmmjax as gj
folder = gj.enable_compilation_cache(sys.argv[1])
jax.jit(lambda x: x + 1)(1.0)
print(any(folder.iterdir()))
"""
    assert run(code, str(tmp_path / "cache")).strip() == "True"


def test_compilation_cache_goes_to_the_user_cache_folder(tmp_path):
    code = "import glmmjax as gj; print(gj.enable_compilation_cache())"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        check=True, capture_output=True, text=True, cwd=ROOT,
        env={"PATH": "", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)},
    ).stdout  # fmt: skip
    assert Path(shown.strip()).is_relative_to(tmp_path)
    assert Path(shown.strip()).parts[-2:] == ("glmmjax", "jax")


def test_data_may_be_a_dict_and_labels_any_type(intro_fit):
    data = datasets.load_intro_binomial()
    labels = [("school", int(i)) for i in data["id"]]
    fit = gj.mixed_model(**INTRO, data={**{name: data[name] for name in ("y", "sex", "time")}, "id": pd.Series(labels)})
    assert fit.llf == pytest.approx(intro_fit.llf, abs=1e-9)
    assert fit.random_effects.index[0] == ("school", int(data["id"].iloc[0]))
