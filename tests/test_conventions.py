"""Rules of the house that no linter knows: lengths of argument lists, names of types, what a folder says of its files.

Who may import whom is the business of ``test_architecture``; what ``help()`` shows that of ``test_docstrings``.
"""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "glmmjax"
MOST_POSITIONAL = 6
AFTER_A_FIT = ("postfit/", "tables/", "plots/", "results/", "marginaleffects_adapter.py")
MOST_LINES = 320  # of a file; settings that grow beyond it have taken on a second job
MOST_BODY_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def trees() -> dict[Path, ast.Module]:
    """Every file of the package, parsed."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def n_positional(function: Function) -> int:
    """Parameters that can be passed by position, ``self`` and ``cls`` not counted."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def n_body_lines(function: Function) -> int:
    """Lines of a function below its signature and docstring."""
    first = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - first[0].lineno + 1


def functions_of(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


MANY_OF_A_KIND = {"fits"}  # as many as the caller has, each of them checked


def hides_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return function.args.vararg is not None and function.args.vararg.arg not in MANY_OF_A_KIND


def long_signatures(name: str, tree: ast.Module) -> list[str]:
    """Functions with too many positional parameters, or with ``*arguments``, which hide them in the code that follows a fit."""
    return [
        f"{name}:{function.lineno}: {function.name}"
        for function in functions_of(tree)
        if n_positional(function) > MOST_POSITIONAL or (hides_arguments(function) and name.startswith(AFTER_A_FIT))
    ]


def test_no_function_has_a_tail_of_positional_parameters():
    assert [text for path, tree in trees().items() for text in long_signatures(path.relative_to(PACKAGE).as_posix(), tree)] == []


def test_a_planted_tail_is_found():
    planted = ast.parse("def f(a, b, c, d, e, f, g): ...\ndef g(a, *arguments): ...\ndef h(a, b, c, d, e, f, *, g): ...")
    assert long_signatures("postfit/planted.py", planted) == ["postfit/planted.py:1: f", "postfit/planted.py:2: g"]
    assert long_signatures("likelihood/planted.py", planted) == ["likelihood/planted.py:1: f"]


def test_files_and_bodies_stay_short():
    long = [f"{path.relative_to(PACKAGE)}" for path in trees() if path.read_text(encoding="utf-8").count("\n") > MOST_LINES]
    long += [
        f"{path.relative_to(PACKAGE)}:{function.lineno} {function.name}"
        for path, tree in trees().items()
        for function in functions_of(tree)
        if n_body_lines(function) > MOST_BODY_LINES
    ]
    assert long == []


def test_no_two_types_share_a_name():
    homes = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


FOLDERS = sorted({path.parent for path in PACKAGE.rglob("__init__.py")} - {PACKAGE})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_a_folder_lists_its_files(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    inside = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    inside += [path.parent.name for path in folder.glob("*/__init__.py")]
    assert [name for name in sorted(inside) if f"``{name}``" not in text and f"``{name}/``" not in text] == []


def test_every_file_says_what_it_is_for():
    assert [str(path.relative_to(PACKAGE)) for path, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_the_typing_marker_ships():
    assert (PACKAGE / "py.typed").is_file()
