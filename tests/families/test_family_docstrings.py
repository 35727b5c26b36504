"""What ``help()`` shows of every family: formula, parameters, outcome, source, and an example that is run."""

import doctest
import inspect
import itertools

import pytest

import glmmjax as gj
from glmmjax.families import FAMILIES, Custom, WithDispersion

pytestmark = pytest.mark.usefixtures("compile_quickly")

NAMED = list(FAMILIES.values())  # these have a formula and a source; the others take both from what they are given


def help_of(family: type) -> str:
    return inspect.getdoc(family) or ""


def sections(text: str) -> set[str]:
    lines = text.splitlines()
    return {title for title, line in itertools.pairwise(lines) if line and line == "-" * len(title)}


@pytest.mark.parametrize("family", NAMED, ids=lambda family: family.name)
def test_a_family_says_what_it_is(family):
    text = help_of(family)
    assert ".. math::" in text
    assert "Outcome:" in text
    assert {"Parameters", "References", "Examples"} <= sections(text)
    unsaid = [name for name in inspect.signature(family).parameters if f"\n{name} : " not in text]
    assert not unsaid, f"nothing on {', '.join(unsaid)}"


@pytest.mark.parametrize("family", NAMED, ids=lambda family: family.name)
def test_a_family_names_its_extra_parameters_and_their_free_scale(family):
    # the number of thresholds depends on the levels
    names = ["thresholds"] if family.is_ordinal else [f"``{name}``" for name in family().phi_names]
    text = " ".join(help_of(family).split())
    assert ("Extra parameter" in text) == bool(names)
    about = text.partition("Extra parameter")[2]
    assert [name for name in names if name not in about] == []
    assert not names or "free scale" in about


@pytest.mark.parametrize("family", [Custom, WithDispersion], ids=lambda family: family.__name__)
def test_a_family_made_of_others_has_parameters_and_an_example(family):
    assert {"Parameters", "Examples"} <= sections(help_of(family))


@pytest.mark.parametrize("family", [*NAMED, Custom, WithDispersion], ids=lambda family: family.__name__)
def test_the_example_of_a_family_runs(family):
    (test,) = doctest.DocTestFinder(recurse=False).find(family, family.__name__, globs={"gj": gj})
    failures: list[str] = []
    result = doctest.DocTestRunner().run(test, out=failures.append)
    assert any(f"gj.families.{family.__name__}(" in example.source for example in test.examples)
    assert result.attempted > 0
    assert result.failed == 0, "".join(failures)
