"""What ``help()`` shows of every public name: the sections it must have, and its examples, which are run."""

import dataclasses
import doctest
import functools
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import glmmjax as gj

# records that public functions return or take, beside the public names themselves
RECORDS = (gj.Params, gj.Options, gj.StudentTPenalty)


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
    """The classes that public functions give back."""
    from glmmjax import results

    return [value for value in vars(results).values() if inspect.isclass(value)]


def functions() -> dict[str, Any]:
    """Public functions and methods by name; families share the methods of their contract, which is not for users."""
    found = {name: value for name, value in public_names() if inspect.isfunction(value)}
    owners = [gj.MixedModelResults, *result_classes(), type_of_design()]
    return found | {name: method for owner in owners for name, method in methods_of(owner)}


def type_of_design() -> type:
    return inspect.signature(gj.make_design, eval_str=True).return_annotation


def classes() -> dict[str, type]:
    found = {name: value for name, value in public_names() if inspect.isclass(value)}
    return found | {owner.__name__: owner for owner in [*result_classes(), type_of_design()]}


def properties() -> dict[str, Any]:
    return {
        f"{owner.__name__}.{name}": member
        for owner in classes().values()
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


@pytest.mark.parametrize("name", sorted({*classes(), *properties()}))
def test_every_class_and_property_says_what_it_is(name):
    assert inspect.getdoc(classes().get(name) or properties()[name])


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_the_fields_of_a_record_are_described(record):
    text = inspect.getdoc(record) or ""
    assert [name for name in fields_of(record) if name not in text.partition("Attributes\n----------")[2]] == []


@pytest.mark.usefixtures("compile_quickly")
@pytest.mark.parametrize("name", sorted(functions()))
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where examples write files
    (test,) = doctest.DocTestFinder(recurse=False).find(functions()[name], name, globs={"gj": gj})
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    result = runner.run(test, out=failures.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(failures)
