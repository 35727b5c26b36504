"""Names of other libraries end in an error that names ours, and the table of them points to what exists."""

import inspect
import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax import other_names
from glmmjax.errors import ArgumentError
from glmmjax.families import FAMILIES

MIXED_MODEL: Any = gj.mixed_model  # for calls that a type checker refuses too
GJ: Any = gj


@pytest.fixture
def fit(as_if_fitted):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.integers(0, 2, 40), "x": rng.normal(size=40), "id": np.repeat(np.arange(8), 5)})
    return as_if_fitted("y ~ x", random="~ 1 | id", data=frame, family="binomial")


def has(owner, how):
    """Whether the text ``how`` begins with something that ``owner`` has: every attribute of ``a.b.c``, each of ``a() or b()``."""
    for part in how.split(",")[0].split(" or "):
        place = owner
        for name in part.split(" ")[0].split("(")[0].split("."):
            if not hasattr(place, name):
                return False
            place = getattr(place, name)
    return True


@pytest.mark.parametrize("name", other_names.ATTRIBUTES)
def test_an_attribute_of_another_library_names_ours(fit, name):
    how = other_names.ATTRIBUTES[name]
    assert has(fit, how)
    with pytest.raises(AttributeError) as caught:
        getattr(fit, name)
    assert str(caught.value) == f"'MixedModelResults' object has no attribute {name!r}; write .{how}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bse", "write .bse_fe"),
        ("coef", "write .fe_params"),
        ("logLik", "write .llf"),
        ("formula", "write .fitted_model.request.fixed"),
        ("summry", "write .summary"),
        ("plot_efects", "write .plot_effects"),
        ("zzz", r"dir\(fit\) lists what it has"),
    ],
)
def test_names_that_were_tried(fit, name, text):
    with pytest.raises(AttributeError, match=text):
        getattr(fit, name)
    assert not hasattr(fit, name)


def test_only_what_exists_is_listed(fit):
    listed = set(dir(fit))
    assert not listed & set(other_names.ATTRIBUTES)
    assert listed == set(dir(type(fit))) | set(vars(fit))
    assert pickle.loads(pickle.dumps(fit)).llf == fit.llf
    with pytest.raises(AttributeError, match=r"has no attribute '_repr_png_'$"):
        fit._repr_png_  # noqa: B018


def functions():
    """Every public function and method, by its name."""
    found = {name: getattr(gj, name) for name in gj.__all__ if inspect.isfunction(getattr(gj, name))}
    for kind in (gj.MixedModelResults, gj.ManyFits):
        found |= {f"{kind.__name__}.{name}": value for name, value in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}
    return found


def test_arguments_in_the_table_exist_and_the_others_do_not_where_they_are_advised():
    signatures = {name: set(inspect.signature(function).parameters) for name, function in functions().items()}
    for other, ours in other_names.ARGUMENTS.items():
        for own in ours:
            meant = [name for name, arguments in signatures.items() if own in arguments and other not in arguments]
            assert meant, (other, own)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda fit: fit.conf_int(alpha=0.05),
            r"conf_int\(\) got an unexpected keyword argument 'alpha'; write level=0\.95 in the place of",
        ),
        (lambda fit: fit.predict(type="response"), r"unexpected keyword argument 'type'; write kind=.* or scale='response' or 'link'$"),
        (lambda fit: fit.resid(type="pearson"), "unexpected keyword argument 'type'; write kind="),
        (lambda _: MIXED_MODEL(formula="y ~ x", data={}, family="binomial"), "argument 'formula'; write fixed='y ~ x'"),
        (lambda _: MIXED_MODEL("y ~ x", groups="id", data={}, family="binomial"), r"argument 'groups'; write random='~ 1 \| id'"),
        (lambda fit: fit.simulate(nsim=10), "write n=1000"),
        (lambda fit: fit.conf_int(levle=0.9), "write level=$"),
        (lambda fit: fit.cov_params(zzz=1), "it has robust, which$"),
        (lambda fit: fit.glance(digits=2), r"glance\(\) got an unexpected keyword argument 'digits'"),
        (lambda fit: fit.summary(zzz=2), r"summary\(\) got an unexpected keyword argument 'zzz'; it has no arguments$"),
        (lambda fit: GJ.cross_validate(fit, cv=5), "write folds=5$"),
        (lambda fit: GJ.compare_models(small=fit), "it has names, boundary$"),
        (lambda fit: GJ.anova(fit, fit, test="LRT"), "write null='chi2' or 'simulated'"),
        (lambda _: MIXED_MODEL("y ~ x", data={}, family="binomial", method="Laplace"), "write n_agq=1 for Laplace's method"),
    ],
)
def test_an_argument_of_another_library_names_ours(fit, call, text):
    with pytest.raises(TypeError, match=text):
        call(fit)


@pytest.mark.parametrize(("function", "name"), other_names.ELSEWHERE)
def test_what_another_method_does_is_said_and_works(fit, intro_fit, function, name):
    how = other_names.ELSEWHERE[function, name]
    data = fit.augment()
    calls = {
        "summary": lambda: fit.summary(**{name: True}),
        "mixed_model": lambda: MIXED_MODEL("y ~ x", random="~ 1 | id", data=data, family="binomial", **{name: True}),
        "predict": lambda: fit.predict(**{name: None}),
    }
    with pytest.raises(TypeError, match=rf"{function}\(\) got an unexpected keyword argument '{name}'; write {re.escape(how)}$"):
        calls[function]()
    for method, arguments in re.findall(r"fit\.(\w+)\((.*?)\)", how):
        assert len(eval(f"fit.{method}({arguments})", {"fit": intro_fit})) == 4
    for kind in re.findall(r"kind='(\w+)'", how):
        assert len(fit.predict(kind=kind)) == 40


def test_every_piece_of_advice_on_another_method_has_code():
    assert all(re.search(r"fit\.\w+\(|kind='|no REML=", how) for how in other_names.ELSEWHERE.values())


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda fit: GJ.anova(fit),
            r"anova\(\) needs fit1: it compares two fits; make the smaller one by fit\.update\(fixed='\. ~ \. - x'\)",
        ),
        (lambda fit: fit.plot_effects(), r"plot_effects\(\) needs newdata: the name of a covariate, plot_effects\('x'\), or values"),
        (lambda fit: GJ.permutation_test(fit), r"permutation_test\(\) needs term: the name of a covariate, such as 'sex'$"),
        (lambda _: MIXED_MODEL("y ~ x", data={"y": [0], "x": [0]}), r"mixed_model\(\) needs family: 'binomial' for 0 and 1, 'poisson' for"),
        (
            lambda _: MIXED_MODEL("y ~ x", family="binomial"),
            r"mixed_model\(\) needs data: a DataFrame of pandas, polars or another library",
        ),
        (
            lambda _: MIXED_MODEL("y ~ x", "~ 1 | id", {}, "binomial"),
            "takes by place fixed, random; all else goes by name, data=, family=$",
        ),
        (lambda fit: fit.summary(1), r"summary\(\) takes by place nothing; all else goes by name$"),
        (lambda fit: fit.cov_params(False, "all", 3), r"cov_params\(\) takes by place robust, which; all else goes by name$"),
    ],
)
def test_a_call_with_too_few_or_too_many_arguments_says_which(fit, call, text):
    with pytest.raises(TypeError, match=text):
        call(fit)


def test_what_is_said_of_a_missing_argument_works(fit):
    smaller = fit.update(fixed=". ~ . - x")
    assert smaller.fitted_model.request.fixed == "y ~ (x) - x"
    assert fit.wald_test("x = 0").table.shape == (1, 5)
    for newdata in ("x", {"x": [0, 1]}):
        assert fit.plot_effects(newdata, kind="mean_subject").get_xlabel() == "x"
    for family in ("binomial", "poisson", "gaussian"):
        assert GJ.mixed_model("y ~ x", data=fit.augment(), family=family).nobs == 40


TABLE = {"y": [0, 1], "x": [0, 1], "id": [0, 0]}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda _: MIXED_MODEL(pd.DataFrame(TABLE), "y ~ x", family="binomial"), "fixed=.*; the table goes by name: mixed_model"),
        (lambda _: MIXED_MODEL("y ~ x + (1 | id)", TABLE, family="binomial"), "random=.*; the table goes by name: mixed_model"),
        (
            lambda _: MIXED_MODEL("y ~ x", data="y.csv", family="binomial"),
            r"data='y.csv' is no table; read a file first, data=pandas\.read_csv",
        ),
        (lambda fit: fit.predict(TABLE, "response"), "newdata2='response' must be .*kind='marginal' and scale='link' go by name"),
        (lambda fit: fit.plot_effects(["x", "y"]), r"newdata=\['x', 'y'\] must be the name of a covariate.*a second name goes to by="),
        (lambda fit: fit.contrasts("x"), "the name of a column goes to by="),
    ],
)
def test_values_in_the_place_of_others_are_told_where_they_go(fit, call, text):
    with pytest.raises(ArgumentError, match=text):
        call(fit)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("binomial(link='probit')", "Binomial(link='probit')"),
        ("probit", "Binomial(link='probit')"),
        ("cloglog", "Binomial(link='cloglog')"),
        ("nbinom2()", "NegativeBinomial()"),
        ("Poisson()", "Poisson()"),
    ],
)
def test_a_family_with_a_link_is_an_object(text, own):
    with pytest.raises(ArgumentError, match=rf"write an object in the place of the text, glmmjax\.families\.{re.escape(own)}\."):
        gj.mixed_model("y ~ x", data=TABLE, family=text)
    assert isinstance(eval(f"gj.families.{own}", {"gj": gj}), gj.families.Family)


def test_a_summary_and_the_data_sets_say_what_they_have(fit):
    with pytest.raises(AttributeError, match=r"'Summary' object has no attribute 'as_latex'; write \.to_latex$"):
        fit.summary().as_latex()
    assert "tabular" in fit.summary().to_latex()
    with pytest.raises(AttributeError, match="it has load_bacteria, load_cbpp"):
        gj.datasets.toenail  # noqa: B018
    assert pickle.loads(pickle.dumps(fit.summary())).to_latex() == fit.summary().to_latex()


def test_what_a_message_advises_works(fit):
    assert fit.conf_int(level=0.95).shape == (2, 3)
    assert len(fit.predict(kind="mean_subject", scale="response")) == 40
    assert fit.fitted_model.request.fixed == "y ~ x"


@pytest.mark.parametrize("name", other_names.FAMILIES)
def test_a_family_of_another_library_names_ours(name):
    own = FAMILIES[other_names.FAMILIES[name]]
    assert name not in FAMILIES
    for text in (name, name.upper()):
        with pytest.raises(ArgumentError, match=f"did you mean family='{own.name}', glmmjax.families.{own.__name__}"):
            gj.mixed_model("y ~ x", data={"y": [0, 1], "x": [0, 1]}, family=text)
    with pytest.raises(AttributeError, match=rf"write families\.{own.__name__}\(\)"):
        getattr(gj.families, name)


@pytest.mark.parametrize("name", ["Binomial", "negative binomial", "poison", "Student-t", "zero-inflated poisson"])
def test_a_family_that_is_almost_right_is_named(name):
    with pytest.raises(ArgumentError, match=r"did you mean family='(binomial|negative_binomial|poisson|student_t|zero_inflated_poisson)'"):
        gj.mixed_model("y ~ x", data={"y": [0, 1], "x": [0, 1]}, family=name)


@pytest.mark.parametrize("family", [gj.families.Binomial, gj.families.Poisson])
def test_a_class_of_a_family_is_to_be_called(family):
    with pytest.raises(ArgumentError, match=rf"is a class; call it, family=glmmjax\.families\.{family.__name__}\(\)"):
        gj.mixed_model("y ~ x", data={"y": [0, 1], "x": [0, 1]}, family=family)


@pytest.mark.parametrize("name", ["binomial", "poisson", "negative_binomial", "gaussian"])
def test_the_file_of_a_family_is_no_family(name):
    own = FAMILIES[name].__name__
    with pytest.raises(TypeError, match=rf"glmmjax\.families\.{name} is a file of the package and no family; write families\.{own}\(\)"):
        getattr(gj.families, name)()


def test_a_family_object_of_another_library_is_refused_with_ours():
    class Poisson:  # as of statsmodels
        pass

    with pytest.raises(ArgumentError, match=r"did you mean family='poisson', glmmjax\.families\.Poisson\(\)"):
        MIXED_MODEL("y ~ x", data={"y": [0, 1], "x": [0, 1]}, family=Poisson())


@pytest.mark.parametrize("name", other_names.FUNCTIONS)
def test_a_function_of_another_library_names_ours(name):
    how = other_names.FUNCTIONS[name]
    assert has(gj, how)
    with pytest.raises(AttributeError) as caught:
        getattr(gj, name)
    assert str(caught.value).endswith(f"write glmmjax.{how}")


def test_a_family_is_not_at_the_top_of_the_package():
    with pytest.raises(AttributeError, match=r"write glmmjax\.families\.Poisson$"):
        gj.Poisson  # noqa: B018
    with pytest.raises(AttributeError, match="it has CustomEffects, ManyFits, MixedModelResults"):
        gj.zzz  # noqa: B018
