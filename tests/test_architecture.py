"""The layer rules: who may import whom, and where each outside library stops. Read from the source, not from what runs.

A unit is a file or folder directly under ``glmmjax/``. ``MAY_IMPORT`` lists its layers below, so imports can only go down.
"""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "glmmjax"
ROOT = "glmmjax"

_PURE = {"arguments", "errors", "families", "likelihood", "other_names", "values"}
_FIT = _PURE | {"options", "estimation"}
_ALL_FITTED = _FIT | {"design", "request", "fitted", "fitted_many"}

# unit -> units of glmmjax below it; every unit may also import itself
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "values": {"errors"},
    "other_names": set(),
    "arguments": {"errors", "other_names", "values"},
    "options": {"errors", "values"},
    "families": {"errors", "other_names", "values"},
    "likelihood": {"arguments", "errors", "families", "values"},
    "design": _PURE | {"options"},
    "estimation": _PURE | {"options"},
    "progress_records": set(),
    "progress": _FIT | {"progress_records"},
    "initial_values": _PURE,
    "compilation_cache": {"arguments", "errors", "estimation"},
    "continuation_ratio": {"arguments", "errors", "values"},
    "devices": {"errors", "estimation", "values"},
    "request": _FIT | {"design", "devices", "initial_values", "progress"},
    "fitted": _FIT | {"design", "request"},
    "fitted_many": _FIT | {"design", "request", "fitted"},
    "postfit": _ALL_FITTED,
    "tables": _ALL_FITTED | {"postfit"},
    "plots": _ALL_FITTED | {"postfit", "tables"},
    "storage": _ALL_FITTED | {ROOT, "postfit"},
    "marginaleffects_adapter": _ALL_FITTED | {"postfit"},
    "results": _ALL_FITTED | {"postfit", "tables", "plots", "storage", "marginaleffects_adapter", "progress"},
    "model": _ALL_FITTED | {"postfit", "tables", "plots", "results", "progress", "initial_values", "devices"},
    "many": _ALL_FITTED | {"model", "progress", "progress_records", "results"},
    "neural": _ALL_FITTED | {"devices", "model", "progress", "progress_records", "results", "storage"},
    "sklearn": _ALL_FITTED | {"model", "results"},
    "loading": {"arguments", "families", "likelihood", "design", "results", "storage", "model"},
    "datasets": set(),
    "cli": {ROOT, "errors", "families", "likelihood", "design", "datasets"},
    "__main__": {"cli"},
    ROOT: set(),  # __init__.py: lazy, so nothing but the standard library when imported
}

# unit -> outside libraries; a longer path, such as "likelihood/gauss_hermite", takes precedence
OUTSIDE: dict[str, set[str]] = {
    "arguments": {"numpy"},
    "values": {"numpy"},
    "families": {"jax", "numpy"},
    "likelihood": {"jax"},
    "likelihood/gauss_hermite": {"jax", "numpy"},
    "likelihood/sinh_trapezoid": {"numpy"},
    "likelihood/wide_trapezoid": {"jax", "numpy"},
    "likelihood/normal_mixture": {"jax", "numpy"},
    "likelihood/custom_law": {"jax", "numpy"},
    "likelihood/law_numbers": {"jax", "numpy"},
    "likelihood/trapezoid": {"jax", "numpy"},
    "likelihood/population": {"jax", "numpy"},
    "likelihood/cluster_sums": {"jax", "numpy"},
    "likelihood/covariance": {"jax", "numpy"},
    "likelihood/structure": {"jax", "numpy"},
    "likelihood/parameter_priors": {"jax", "numpy"},
    "design": {"jax", "numpy", "pandas", "patsy"},
    "design/frames": {"narwhals", "numpy", "pandas"},
    "design/formula/transforms": {"numpy", "pandas", "patsy", "scipy"},
    "design/stream/source": {"pandas", "pyarrow"},
    "estimation": {"jax", "numpy"},
    "estimation/phases/limited_memory": {"jax", "optax"},
    "estimation/separation": {"numpy", "scipy"},
    "estimation/xla/executables": {"jax", "jaxlib", "numpy"},
    "estimation/xla/surroundings": {"jax", "jaxlib"},
    "compilation_cache": {"jax"},
    "continuation_ratio": {"numpy", "pandas"},
    "devices": {"jax", "numpy"},
    "initial_values": {"jax", "numpy"},
    "progress": {"tqdm"},
    "request": {"jax"},
    "fitted": {"jax", "numpy"},
    "fitted_many": {"numpy"},
    "many": {"jax", "numpy"},
    "neural": {"jax", "numpy", "optax", "scipy"},
    "postfit": {"jax", "numpy"},
    "postfit/inference/pooling": {"numpy", "scipy"},
    "postfit/refitting/nonparametric_law": {"jax", "numpy", "scipy"},
    "postfit/refitting/support_masses": {"numpy", "scipy"},
    "postfit/checking/residual_tests": {"numpy", "scipy"},
    "postfit/uncertainty/p_values": {"numpy", "scipy"},
    "postfit/uncertainty/multiple_comparisons": {"numpy", "scipy"},
    "tables": {"numpy", "pandas"},
    "tables/result_frame": {"numpy", "pandas", "polars"},
    "plots": {"matplotlib", "numpy"},
    "results": {"jax", "numpy"},
    "storage": {"jax", "numpy", "pandas"},
    "loading": {"jax"},
    "marginaleffects_adapter": {"jax", "marginaleffects", "numpy", "pandas", "polars"},
    "model": {"jax", "numpy"},
    "sklearn": {"numpy", "pandas", "sklearn"},
    "datasets": {"pandas"},
    "cli": {"pandas"},
}

# allowed below `if TYPE_CHECKING:` only, for annotations: such an import never runs
TYPES_ONLY: dict[str, set[str]] = {
    "fitted": {"pandas"},
    "neural": {"pandas"},
    "postfit": {"pandas"},
    "results": {"matplotlib", "pandas"},
    "model": {"pandas"},
}


class Import(NamedTuple):
    """One import statement: the module imported, and where it stands."""

    module: str
    line: int
    in_function: bool
    types_only: bool


def imports_of(path: Path, package: str) -> list[Import]:
    """Every import of a file, relative ones made absolute; ``from a import b`` counts as ``a.b``."""
    found: list[Import] = []

    def visit(node: ast.AST, in_function: bool, types_only: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, in_function, types_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            found.extend(Import(f"{base}.{alias.name}", node.lineno, in_function, types_only) for alias in node.names)
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for child in ast.iter_child_nodes(node):
            visit(child, inside, types_only or (guarded and child in getattr(node, "body", ())))

    visit(ast.parse(path.read_text(encoding="utf-8")), False, False)
    return found


def _absolute(node: ast.ImportFrom, package: str) -> str:
    parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
    return ".".join([*parts, *([node.module] if node.module else [])])


def unit_of(module: str) -> str:
    """The unit of a dotted module name inside the package; ``glmmjax`` itself for ``from glmmjax import x``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else ROOT


def violations(package: Path) -> list[str]:
    """One line for each import below ``package`` that breaks a rule."""
    return [text for path in sorted(package.rglob("*.py")) for text in _violations_of(path, package)]


def _violations_of(path: Path, package: Path) -> list[str]:
    relative = path.relative_to(package)
    key = relative.with_suffix("").as_posix()
    unit = ROOT if key == "__init__" else relative.parts[0].removesuffix(".py")
    if unit not in MAY_IMPORT:
        return [f"{relative}: {unit} has no layer; add it to MAY_IMPORT"]
    dotted = ".".join([ROOT, *relative.parts[:-1]])
    checked = [(found, _complaint(found, unit, key)) for found in imports_of(path, dotted)]
    return [f"{relative}:{found.line}: {complaint} ({found.module})" for found, complaint in checked if complaint]


def _complaint(found: Import, unit: str, key: str) -> str | None:
    top = found.module.split(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top != ROOT:
        allowed = OUTSIDE.get(key, OUTSIDE.get(unit, set()))
        if found.types_only:
            allowed = allowed | TYPES_ONLY.get(unit, set())
        return None if top in allowed else f"{unit} may not import {top}"
    if found.in_function and unit != ROOT:
        return f"{unit} imports inside a function"
    target = unit_of(found.module)
    if unit == ROOT and (found.in_function or found.types_only):
        return None
    return None if target == unit or target in MAY_IMPORT[unit] else f"{unit} may not import {target}"


def module_graph(package: Path) -> dict[str, set[str]]:
    """Module -> modules of the package that it imports on loading; a package stands for its ``__init__``."""
    paths = {_dotted(path, package): path for path in package.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        base = name if path.name == "__init__.py" else name.rpartition(".")[0]
        loaded = [found.module for found in imports_of(path, base) if not (found.in_function or found.types_only)]
        graph[name] = {target for module in loaded if (target := _module_in(module, paths))} - {name}
    return graph


def _dotted(path: Path, package: Path) -> str:
    return ".".join([ROOT, *path.relative_to(package).with_suffix("").parts]).removesuffix(".__init__")


def _module_in(module: str, paths: dict[str, Path]) -> str | None:
    return next((name for name in (module, module.rpartition(".")[0]) if name in paths), None)


def run(code: str) -> str:
    """Standard output of ``code`` in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=PACKAGE.parent).stdout


def test_imports_only_go_down_and_libraries_stop_at_their_layer():
    assert violations(PACKAGE) == []


def test_no_two_modules_import_each_other():
    try:
        TopologicalSorter(module_graph(PACKAGE)).prepare()
    except CycleError as error:
        pytest.fail(f"circular import: {' -> '.join(error.args[1])}")


def test_layers_themselves_have_an_order():
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize(
    ("file", "code", "complaint"),
    [
        ("families/gamma.py", "from glmmjax.likelihood.params import Params", "families may not import likelihood"),
        ("families/gamma.py", "import pandas as pd", "families may not import pandas"),
        ("families/gamma.py", "from ..design import formula", "families may not import design"),
        ("likelihood/modes.py", "import numpy", "likelihood may not import numpy"),
        ("likelihood/modes.py", "from ..options import Options", "likelihood may not import options"),
        ("likelihood/modes.py", "if TYPE_CHECKING:\n    import pandas", "likelihood may not import pandas"),
        ("design/formula/split.py", "from glmmjax import estimation", "design may not import estimation"),
        ("estimation/phases/em.py", "from glmmjax.design.design import Design", "estimation may not import design"),
        ("estimation/phases/em.py", "def f():\n    from glmmjax.likelihood import modes", "estimation imports inside a function"),
        ("postfit/uncertainty/vcov.py", "import pandas as pd", "postfit may not import pandas"),
        ("postfit/uncertainty/vcov.py", "def f():\n    import patsy", "postfit may not import patsy"),
        ("postfit/uncertainty/vcov.py", "from glmmjax.results import MixedModelResults", "postfit may not import results"),
        ("results/inference.py", "import pandas", "results may not import pandas"),
        ("__init__.py", "from glmmjax.model import mixed_model", "glmmjax may not import model"),
        ("helpers.py", "", "helpers has no layer"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, code, complaint):
    path = tmp_path / ROOT / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    (found,) = violations(tmp_path / ROOT)
    assert complaint in found


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("likelihood/gauss_hermite.py", "import numpy as np"),
        ("likelihood/modes.py", "import math\nfrom glmmjax.families.base import Family\nfrom .rows import at"),
        ("design/formula/matrices.py", "import patsy, pandas\nfrom glmmjax.likelihood.clusters import ClusterData"),
        ("results/inference.py", "if TYPE_CHECKING:\n    import pandas as pd"),
        ("plots/population.py", "def plot():\n    import matplotlib.pyplot as plt"),
        ("__init__.py", "def __getattr__(name):\n    from glmmjax import model"),
    ],
)
def test_an_allowed_import_is_left_alone(tmp_path, file, code):
    path = tmp_path / ROOT / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    assert violations(tmp_path / ROOT) == []


def test_a_planted_cycle_is_found(tmp_path):
    for name, other in [("a", "b"), ("b", "a")]:
        (tmp_path / f"{name}.py").write_text(f"from glmmjax import {other}")
    with pytest.raises(CycleError):
        TopologicalSorter(module_graph(tmp_path)).prepare()


def test_importing_glmmjax_loads_no_table_library_and_sets_no_flag():
    code = "import glmmjax, jax, sys; print({'pandas', 'patsy', 'optax'} & set(sys.modules), jax.config.jax_enable_x64)"
    assert run(code).strip() == "set() False"


def test_a_first_fit_waits_for_no_library_that_it_does_not_use():
    """``scipy.stats`` alone takes a second to load; training and splines have theirs when they are asked for."""
    late = {"scipy.stats", "scipy.special", "scipy.interpolate", "optax", "narwhals", "polars", "matplotlib", "sklearn"}
    code = f"import glmmjax, sys; glmmjax.mixed_model, glmmjax.pool; print({late!r} & set(sys.modules))"
    assert run(code).strip() == "set()"


# unit -> its rooms and files from the lowest up: each imports only those before it; what is not named imports and is imported freely
ROOMS = {
    "design": ("formula", "arguments", "columns", "layout", "stream", "design", "builder"),
    "estimation": (
        *("linear_algebra", "penalty", "objective", "glm", "starting_values", "phases", "family_limits", "convergence", "sequence", "xla"),
        *("evaluators", "ascent", "maximum", "maximise", "fit", "batch", "many", "refits"),
    ),
    "postfit": ("uncertainty", "prediction", "checking", "refitting", "inference", "population", "many"),
}


def climbs(package: Path, unit: str) -> list[str]:
    """One line for each import of a room of ``unit`` from one after it."""
    order, found = ROOMS[unit], []
    inside = {name: loaded for name, loaded in module_graph(package).items() if name.startswith(f"{ROOT}.{unit}.")}
    for name, loaded in inside.items():
        room = name.split(".")[2]
        later = order[order.index(room) + 1 :] if room in order else ()
        found += [f"{name} imports {module}" for module in sorted(loaded) if module in inside and module.split(".")[2] in later]
    return found


@pytest.mark.parametrize("unit", ROOMS)
def test_rooms_of_a_unit_import_only_those_before_them(unit):
    assert climbs(PACKAGE, unit) == []
    names = {path.stem for path in (PACKAGE / unit).iterdir()}
    assert {name for name in names if (PACKAGE / unit / name / "__init__.py").is_file()} <= set(ROOMS[unit]) <= names


def test_a_planted_climb_is_found(tmp_path):
    for room, file, code in (("refitting", "influence", ""), ("prediction", "rows", "from glmmjax.postfit.refitting import influence")):
        (tmp_path / "postfit" / room).mkdir(parents=True)
        (tmp_path / "postfit" / room / f"{file}.py").write_text(code)
    assert climbs(tmp_path, "postfit") == ["glmmjax.postfit.prediction.rows imports glmmjax.postfit.refitting.influence"]
