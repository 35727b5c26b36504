"""What ``help()`` shows of every public name: the sections it must have, and its examples, which are run."""

import dataclasses
import doctest
import functools
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pytest

import glmmjax as gj
from glmmjax import results
from glmmjax.neural.result import NeuralFit

mpl.use("Agg")

# records that public functions return or take, beside the public names themselves
RECORDS = (gj.Params, gj.Priors, gj.Options, gj.SkewNormalEffects, gj.StudentTEffects, gj.StudentTPenalty)


def public_names() -> Iterator[tuple[str, Any]]:
    """Every public function, class and method, with its dotted name."""
    for name in gj.__all__:
        value = getattr(gj, name)
        if inspect.ismodule(value):
            yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in getattr(value, "__all__", ()))
        else:
            yield name, value


def methods_of(owner: type) -> Iterator[tuple[str, Any]]:
    """Public methods that a class of the package defines or inherits from one."""
    for name in dir(owner):
        member = inspect.getattr_static(owner, name)
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        if name.startswith("_") or not inspect.isfunction(member) or not member.__module__.startswith("glmmjax"):
            continue
        yield f"{owner.__name__}.{name}", member


def result_classes() -> list[type]:
    """The classes of results, which ``glmmjax.results`` exports."""
    return [value for value in vars(results).values() if inspect.isclass(value)]


def functions() -> dict[str, Any]:
    """Public functions and methods by name; families share the methods of their contract, which is not for users."""
    found = {name: value for name, value in public_names() if inspect.isfunction(value)}
    owners = [*result_classes(), type_of_design(), gj.NeuralMixedModel, NeuralFit]
    return found | {name: method for owner in owners for name, method in methods_of(owner)}


def type_of_design() -> type:
    return inspect.signature(gj.make_design, eval_str=True).return_annotation


def classes() -> dict[str, type]:
    found = {name: value for name, value in public_names() if inspect.isclass(value)}
    return found | {owner.__name__: owner for owner in [*result_classes(), type_of_design(), *given_back()]}


def given_back() -> list[type]:
    """The classes of the package that public functions, methods and properties say they return."""
    members = [*functions().values(), *properties(*result_classes(), type_of_design()).values()]
    readers = [getattr(member, "fget", None) or getattr(member, "func", None) or member for member in members]
    words = [(reader, word) for reader in readers for word in re.findall(r"\w+", str(inspect.signature(reader).return_annotation))]
    found = [value for reader, word in words if inspect.isclass(value := inspect.unwrap(reader).__globals__.get(word))]
    return [value for value in dict.fromkeys(found) if value.__module__.startswith("glmmjax")]


def records() -> list[type]:
    """Public records, and those that public functions give back."""
    found = [value for value in given_back() if value.__doc__ and (dataclasses.is_dataclass(value) or hasattr(value, "_fields"))]
    return list(dict.fromkeys([*RECORDS, *found]))


def properties(*owners: type) -> dict[str, Any]:
    return {
        f"{owner.__name__}.{name}": member
        for owner in owners
        for name in dir(owner)
        if not name.startswith("_")
        and isinstance(member := inspect.getattr_static(owner, name), property | functools.cached_property)
        and str(getattr(getattr(member, "fget", None) or getattr(member, "func", None), "__module__", "")).startswith("glmmjax")
    }


def fields_of(record: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(record)] if dataclasses.is_dataclass(record) else list(record._fields)


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_public_function_has_all_sections(name):
    function = functions()[name]
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    takes = [p for p in signature.parameters if p not in ("self", "cls")]
    needed = ["Returns"] if signature.return_annotation not in (None, "None") else []
    needed += ["Parameters", "Raises"] if takes else []
    missing = [section for section in [*needed, "Examples"] if f"\n{section}\n{'-' * len(section)}" not in text]
    assert not missing, f"{name}: no {', '.join(missing)}"
    unsaid = [p.lstrip("*") for p in takes if p not in text]
    assert not unsaid, f"{name}: nothing on {', '.join(unsaid)}"


@pytest.mark.parametrize("name", sorted({*classes(), *properties(*classes().values())}))
def test_every_class_and_property_says_what_it_is(name):
    assert inspect.getdoc(classes().get(name) or properties(*classes().values())[name])


@pytest.mark.parametrize("record", records(), ids=lambda record: record.__name__)
def test_the_fields_of_a_record_are_described(record):
    text = inspect.getdoc(record) or ""
    assert [name for name in fields_of(record) if name not in text.partition("Attributes\n----------")[2]] == []


@pytest.fixture
def figures_closed():
    """Close the figures that a test has drawn."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.usefixtures("compile_quickly", "figures_closed")
@pytest.mark.parametrize("name", sorted(functions()))
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where examples write files
    (test,) = doctest.DocTestFinder(recurse=False).find(functions()[name], name, globs={"gj": gj})
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    result = runner.run(test, out=failures.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(failures)
