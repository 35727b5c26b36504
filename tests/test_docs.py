"""The documentation and README.md: their code runs and shows what they say, their links lead somewhere, and nothing public is left out."""

import ast
import inspect
import re
from typing import Any

import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.families import FAMILIES
from tests.pages import DOCS, PAGES, ROOT, blocks_of, differences, family_table, results_of
from tests.test_docstrings import functions

mpl.use("Agg")

MOST_WORDS = 900  # of README.md
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [*PAGES, *DOCS.glob("reference/*.md")]}
WITH_CODE = [path for path in PAGES if blocks_of(path.read_text(encoding="utf-8"))]
FROM_R = TEXTS["docs/coming_from_r.md"]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`((?:gj|fit)\.[^`]+)`")


def shows_what_it_says(path, namespace, with_slow):
    """Run a page; what its blocks print is compared, and their pictures are drawn."""
    for block, shown in results_of(path, namespace, with_slow):
        where = f"{path.name}:{block.line}"
        if block.text is None and block.figure is None:
            assert "Warning: " not in shown, f"{where}: {shown}"
        if block.text is not None:
            told = differences(block.text, shown)
            assert not told, f"{where}: {told}"
        if block.figure is not None:
            assert plt.get_fignums(), where
            assert (path.parent / block.figure).is_file(), where


@pytest.fixture(autouse=True)
def where_files_go(tmp_path, monkeypatch):
    """Pages write files, as users do."""
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


@pytest.mark.usefixtures("compile_quickly")
@pytest.mark.parametrize("path", [path for path in WITH_CODE if path.name != "jax.md"], ids=lambda path: path.name)
def test_a_page_shows_what_it_says(path):
    shows_what_it_says(path, {"__name__": "__main__"}, with_slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in WITH_CODE if any(b.is_slow for b in blocks_of(path.read_text(encoding="utf-8")))])
def test_a_page_with_slow_parts_shows_what_it_says(path):
    shows_what_it_says(path, {"__name__": "__main__"}, with_slow=True)


@pytest.mark.usefixtures("compile_quickly")
def test_the_page_on_jax_shows_what_it_says_and_its_network_has_the_slopes_of_finite_differences():
    page: dict[str, Any] = {"__name__": "__main__"}
    shows_what_it_says(DOCS / "jax.md", page, with_slow=False)
    loss, network, params, slopes = (page[name] for name in ("loss", "network", "params", "slopes"))
    size = jnp.linalg.norm(slopes["output"])
    step = 0.05 * slopes["output"] / size
    ahead, behind = (loss({**network, "output": network["output"] + sign * step}, params) for sign in (1, -1))
    np.testing.assert_allclose(size, (ahead - behind) / 0.1, rtol=1e-2)  # in 32 bits; in 64 in likelihood/test_clusters.py
    assert page["slope_of_params"].chol.shape == (1, 1)


def calls_of(page):
    """The code in the second columns of the tables with R's calls."""
    cells = [re.split(r"(?<!\\)\|", line)[2] for line in page.splitlines() if line.startswith("| ")]
    return [code.replace("\\|", "|") for cell in cells for code in _CODE.findall(cell)]


def binds(call):
    """Whether the function of a call exists and takes its arguments."""
    node: Any = ast.parse(call, mode="eval").body
    names: list[Any] = []
    while isinstance(node, ast.Call | ast.Attribute):
        names.append(node)
        node = node.func if isinstance(node, ast.Call) else node.value
    first = next(each for each in reversed(names) if isinstance(each, ast.Attribute))
    owner = gj if node.id == "gj" else gj.MixedModelResults
    member = inspect.getattr_static(owner, first.attr) if owner is not gj else getattr(gj, first.attr)
    called = next((each for each in names if isinstance(each, ast.Call) and each.func is first), None)
    if called is not None:
        given = [None] * len(called.args) if owner is gj else [None] * (len(called.args) + 1)
        inspect.signature(member).bind(*given, **{str(word.arg): None for word in called.keywords})
    return True


def test_the_calls_beside_those_of_r_exist_and_take_their_arguments():
    calls = calls_of(FROM_R)
    assert len(calls) > 50
    for call in calls:
        if not call.startswith("gj.families"):
            assert binds(call), call


def test_a_call_that_does_not_exist_is_found():
    for planted in ("fit.confint()", "fit.conf_int(levels=0.9)", "gj.glmer('y ~ x')"):
        with pytest.raises((AttributeError, TypeError)):
            binds(planted)


@pytest.mark.slow
def test_the_calls_beside_those_of_r_run():
    page: dict[str, Any] = {"__name__": "__main__"}
    shows_what_it_says(DOCS / "coming_from_r.md", page, with_slow=True)
    for call in calls_of(FROM_R):
        if "to_marginaleffects" not in call:  # which needs that package
            assert eval(call, page) is not None or call.startswith("fit.save"), call


def test_every_code_has_its_cause_and_cure():
    page = TEXTS["docs/convergence.md"]
    assert sorted(re.findall(r"^### `(\w+)`$", page, flags=re.MULTILINE)) == sorted(code.name for code in Code)
    for code in Code:
        text = page.split(f"### `{code.name}`\n")[1].split("\n##")[0]
        assert code is Code.CONVERGED or all(f"**{word}.**" in text for word in ("Seen", "Cause", "Cure")), code


def test_the_families_are_those_of_the_registry():
    page = TEXTS["docs/families.md"]
    assert family_table().strip() in page, "run `make docs-outputs`"
    to_begin_with = page.split("## All families")[0]
    assert [name for name in FAMILIES if f"`{name}`" not in to_begin_with] == []


def test_every_public_name_is_in_the_reference():
    reference = "\n".join(text for name, text in TEXTS.items() if "/reference/" in name)
    known = set(re.findall(r"^::: (\S+)$", reference, flags=re.MULTILINE))
    public = {f"glmmjax.{name}" for name in gj.__all__} - {"glmmjax.families", "glmmjax.MixedModelResults"}
    assert sorted(public - known) == []
    methods = {f"glmmjax.{name}" for name in functions() if name.startswith("MixedModelResults.")}
    values = {f"glmmjax.MixedModelResults.{name}" for name in dir(gj.MixedModelResults) if not name.startswith("_")}
    assert sorted((methods | values) - known) == []


NOTEBOOKS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


@pytest.mark.parametrize("name", [*TEXTS, "CONTRIBUTING.md", "CHANGELOG.md", *NOTEBOOKS])
def test_links_lead_somewhere(name):
    text = TEXTS.get(name) or (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in _LINK.findall(text):
        path = re.sub(r"^notebooks/(\w+)\.md$", r"../notebooks/\1.ipynb", target.split("#")[0])  # a page of the site
        path = "" if path == "families.md" and "reference/" in name else path  # made when the site is built
        if path and not target.startswith("http"):
            assert ((ROOT / name).parent / path).exists(), target


def test_commands_of_tables_exist():
    found = re.findall(r"-m benchmarks(\.stress)? --part (\w+)|--part (\w+)", "\n".join(TEXTS.values()))
    of_stress = {part for campaign, part, _ in found if campaign}
    parts = {part or other for campaign, part, other in found if not campaign}
    known = (ROOT / "benchmarks" / "__main__.py").read_text(encoding="utf-8")
    assert parts
    assert [part for part in sorted(parts) if f'"{part}": ' not in known] == []
    known = (ROOT / "benchmarks" / "stress" / "__main__.py").read_text(encoding="utf-8")
    assert [part for part in sorted(of_stress) if f'"{part}"' not in known] == []


def test_the_first_page_is_short():
    assert len(TEXTS["README.md"].split()) <= MOST_WORDS


def test_the_citation_is_of_this_version():
    version = f"version: {gj.__version__}\n"
    assert version in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version = {{{gj.__version__}}}" in TEXTS["docs/citing.md"]


def test_numbers_may_differ_in_their_last_digit_and_nothing_else():
    assert not differences("a 1.23\n", "a  1.24\n")
    assert not differences("x\n...\nb 2\n", "x\nnot shown\nb 2\n")
    assert not differences("...\nend\n...\n", "first\nend\nlast\n")
    for expected, found in [("a 1.23", "a 1.26"), ("n 3", "n 4"), ("a", "b"), ("a 1\n...\nb 2\n", "a 1\nc 2\n"), ("a", "a b")]:
        assert differences(expected, found)
