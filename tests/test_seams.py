"""What no layer may know of another: which family or covariance structure it has, and the order of blocks. Read from the source.

Who may import whom is the business of ``test_architecture``.
"""

import ast
import sys
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGE, ROOT, imports_of

# what every layer may know of families and of covariance structures: contracts and registries, no member
BLIND_TO_FAMILIES = ("likelihood", "estimation", "postfit", "tables", "plots", "results")
GENERAL = {"base", "registry", "links", "live_outcomes", "observation_variance", "tails", "special"}
STRUCTURE_MEMBERS = {"BlockDiagonal", "CompoundSymmetry", "Autoregressive"}


def _members_asked_for(path: Path) -> list[str]:
    """One line for each place below where a file asks which family or covariance structure it has."""
    tree, base = ast.parse(path.read_text(encoding="utf-8")), ".".join([ROOT, *path.relative_to(PACKAGE).parts[:-1]])
    families = [found for found in imports_of(path, base) if found.module.startswith(f"{ROOT}.families")]
    found = [f"{f.line}: imports {f.module}" for f in families if f.module.split(".")[2] not in GENERAL]
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any("family.name" in ast.unparse(side) for side in (node.left, *node.comparators)):
            found.append(f"{node.lineno}: compares {ast.unparse(node)}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass", "type"):
            text = ast.unparse(node)
            is_of_family = "amily" in ast.unparse(node.args[0]) and ast.unparse(node.args[-1]) != "Family"
            if is_of_family or any(member in text for member in STRUCTURE_MEMBERS):
                found.append(f"{node.lineno}: {text}")
    return [f"{path.relative_to(PACKAGE)}:{text}" for text in found]


def test_no_layer_above_the_families_asks_which_family_or_structure_it_has():
    paths = [path for unit in BLIND_TO_FAMILIES for path in sorted((PACKAGE / unit).rglob("*.py"))]
    assert [text for path in paths for text in _members_asked_for(path)] == []


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("from glmmjax.families.gamma import Gamma", "imports glmmjax.families.gamma.Gamma"),
        ("from glmmjax.families import Custom", "imports glmmjax.families.Custom"),
        ("def f(family):\n    return 'lognormal' in family.name", "compares 'lognormal' in family.name"),
        ("def f(fit):\n    return fit.problem.family.name == 'gaussian'", "compares"),
        ("def f(family):\n    return isinstance(family, Base)", "isinstance(family, Base)"),
        ("def f(s):\n    return isinstance(s, BlockDiagonal)", "isinstance(s, BlockDiagonal)"),
    ],
)
def test_a_planted_question_is_found(tmp_path, monkeypatch, code, complaint):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "postfit.py").write_text(code)
    (found,) = _members_asked_for(tmp_path / "postfit.py")
    assert complaint in found


# names of what only the data layout knows, and the modules that may use them
_ORDER_OF_BLOCKS = {"slots", "row_slots", "lane_clusters"}
_WEIGHTS_IN_BLOCKS = {"row_weight", "cluster_weight"}
_KNOW_THE_ORDER = ("likelihood/", "design/layout/")
_KNOW_THE_WEIGHTS = (
    *_KNOW_THE_ORDER,
    "estimation/glm.py",
    "estimation/starting_values.py",
    "estimation/working_model.py",
)  # which take blocks as they are


def test_only_the_data_layout_knows_the_order_of_blocks():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        relative, names = path.relative_to(PACKAGE).as_posix(), _names_in(path)
        for words, allowed in ((_ORDER_OF_BLOCKS, _KNOW_THE_ORDER), (_WEIGHTS_IN_BLOCKS, _KNOW_THE_WEIGHTS)):
            if not relative.startswith(allowed):
                found += [f"{relative}: {word}; use the conversions of likelihood.clusters" for word in sorted(words & names)]
    assert found == []


def _names_in(path: Path) -> set[str]:
    """Variables, arguments, attributes and keywords of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    kinds = ((ast.Name, "id"), (ast.Attribute, "attr"), (ast.arg, "arg"), (ast.keyword, "arg"))
    return {getattr(node, name) for node in nodes for kind, name in kinds if isinstance(node, kind)}
