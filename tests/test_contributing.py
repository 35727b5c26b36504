"""The recipes of CONTRIBUTING.md: followed in a copy of the repository, they touch what they say and give what they promise."""

import ast
import shutil
import subprocess
import sys
from difflib import ndiff
from pathlib import Path

import numpy as np
import pytest

from tests.recipes import CONTRIBUTING, changed, changes_of, skeleton
from tests.test_architecture import climbs, violations
from tests.test_conventions import functions_of, n_body_lines

ROOT = CONTRIBUTING.parent
COPIED = ("glmmjax", "tests", "pyproject.toml", "CONTRIBUTING.md")
NEW = 0  # in place of the number of lines added

# recipe -> the files that it touches, with the number of places where lines are added
TOUCHED = {
    "A family": {
        "glmmjax/families/geometric.py": NEW,
        "glmmjax/families/registry.py": 1,
        "glmmjax/families/__init__.py": 1,  # the list of files
        "tests/families/cases/counts.py": 2,  # import and row
    },
    "A post-fit method": {
        "glmmjax/postfit/prediction/reliability.py": NEW,
        "glmmjax/postfit/prediction/__init__.py": 1,  # the list of files
        "glmmjax/results/prediction.py": 1,
        "glmmjax/tables/frames.py": 3,  # import, __all__ and function
        "tests/postfit/prediction/test_reliability.py": NEW,
    },
    "A covariance structure": {"glmmjax/likelihood/covariance.py": 2},  # class and registry
}
# the tests that are run in the changed copy: the rules of the house, and what belongs to the additions
FILES = (
    "tests/test_architecture.py",
    "tests/test_seams.py",
    "tests/test_conventions.py",
    "tests/test_docstrings.py",
    "tests/families/test_families.py",
    "tests/families/test_only_in_tests.py",
    "tests/likelihood/test_structure_only_in_tests.py",
    "tests/postfit/prediction/test_reliability.py",
)
CHOSEN = "architecture or seams or conventions or reliability or (test_families and geometric) or (structure and not refits)"
AT_LEAST = 80


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with all recipes followed."""
    root = tmp_path_factory.mktemp("followed")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "reference"))
        else:
            shutil.copy(ROOT / name, root / name)
    for recipe in TOUCHED:
        for change in changes_of(recipe):
            path = root / change.path
            path.write_text(changed(path.read_text(encoding="utf-8"), change) if change.above else change.code, encoding="utf-8")
    return root


def run(root: Path, *arguments: str) -> str:
    """What Python prints at the root of a copy."""
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("recipe", TOUCHED)
def test_a_recipe_touches_the_files_that_it_says(recipe):
    paths = [change.path for change in changes_of(recipe)]
    assert {path: sum(bool(change.above) for change in changes_of(recipe) if change.path == path) for path in paths} == TOUCHED[recipe]


def test_nothing_that_stands_is_changed(copy):
    files = {path.relative_to(copy).as_posix() for name in ("glmmjax", "tests") for path in (copy / name).rglob("*.py")}
    is_new = {path: not (ROOT / path).exists() for path in files}
    differ = {path for path in files if is_new[path] or (ROOT / path).read_bytes() != (copy / path).read_bytes()}
    touched = {path: n for changes in TOUCHED.values() for path, n in changes.items()}
    assert differ == set(touched)
    assert {path for path in differ if is_new[path]} == {path for path, n in touched.items() if n == NEW}
    for path in differ:
        before = "" if is_new[path] else (ROOT / path).read_text(encoding="utf-8")
        after = (copy / path).read_text(encoding="utf-8")
        assert not [line for line in ndiff(before.splitlines(), after.splitlines()) if line.startswith("- ")]


def test_the_method_of_a_fit_is_one_line(copy):
    tree = ast.parse((copy / "glmmjax/results/prediction.py").read_text(encoding="utf-8"))
    assert [n_body_lines(function) for function in functions_of(tree) if function.name == "reliability"] == [1]


def test_the_code_is_laid_out_as_all_other_code(copy):
    run(copy, "-m", "ruff", "check", "--no-cache", "glmmjax")
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", "glmmjax", "tests")


def test_the_layers_hold(copy):
    assert violations(copy / "glmmjax") == []
    assert climbs(copy / "glmmjax", "postfit") == []


@pytest.mark.parametrize("kind", ["mode", "mean"])
def test_the_method_gives_the_share_of_the_variance_that_is_gone(intro_fit, kind):
    found = skeleton("glmmjax/postfit/prediction/reliability.py", "reliability")(intro_fit.fitted_model, kind)
    left = intro_fit.random_effects_table(kind)["std_error"].to_numpy() ** 2
    np.testing.assert_allclose(found[:, 0], 1.0 - left / intro_fit.cov_re.iloc[0, 0], rtol=1e-9)


# the family and the structure are fitted in all runs by ``families/test_only_in_tests`` and ``likelihood/test_structure_only_in_tests``
@pytest.mark.slow
def test_the_changed_copy_passes_its_tests(copy):
    told = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES, "-k", CHOSEN)
    assert int(told.split(" passed")[0].split()[-1]) >= AT_LEAST
