"""Names of other libraries end in an error that names ours, and the table of them points to what exists."""

import inspect
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax import other_names
from glmmjax.errors import ArgumentError
from glmmjax.families import FAMILIES

MIXED_MODEL: Any = gj.mixed_model  # for calls that a type checker refuses too


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
    ],
)
def test_an_argument_of_another_library_names_ours(fit, call, text):
    with pytest.raises(TypeError, match=text):
        call(fit)


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
    with pytest.raises(AttributeError, match="it has ManyFits, MixedModelResults"):
        gj.zzz  # noqa: B018
