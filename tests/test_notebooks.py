"""The notebooks: executed from top to bottom in a fresh process, by public names only, and stored with the outputs of such a run."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glmmjax as gj

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))

# what a notebook does with a cell, without one: run it, and show its last value unless a semicolon ends it
RUNNER = """
import ast, json, sys, warnings
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas
pandas.set_option("display.max_columns", 20)  # as in a notebook; without a terminal pandas leaves columns out
warnings.simplefilter("error")
names = {"__name__": "__main__"}
for source in json.load(sys.stdin):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        if value is not None and not source.rstrip().endswith(";"):
            print(repr(value))
            getattr(value, "_repr_html_", str)()
    plt.close("all")
    print(chr(0))
"""


def cells_of(name):
    return [cell for cell in json.loads((FOLDER / name).read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def numbers(text):
    """Numbers of four figures and more, which leaves out counts of evaluations and times."""
    return [float(found) for found in re.findall(r"-?\d+\.\d{3,}", text)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom_and_gives_what_it_shows(name):
    sources = ["".join(cell["source"]) for cell in cells_of(name)]
    done = subprocess.run([sys.executable, "-c", RUNNER], input=json.dumps(sources), capture_output=True, text=True, cwd=FOLDER)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.split("\0\n")[:-1]
    assert len(shown) == len(sources)
    for cell, text in zip(cells_of(name), shown, strict=True):
        stored = "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
        again = np.array(numbers(text))  # tables may be broken into columns elsewhere
        missing = [number for number in numbers(stored) if not np.isclose(again, number, rtol=2e-3, atol=2e-3).any()]
        assert not missing, "".join(cell["source"])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_with_the_outputs_of_one_run(name):
    cells = cells_of(name)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_takes_public_names_only(name):
    for cell in cells_of(name):
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Import):
                assert not [alias.name for alias in node.names if alias.name.startswith("glmmjax.")]
            assert not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("glmmjax"))
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
                if isinstance(node.value, ast.Name) and node.value.id == "gj":
                    assert node.attr in gj.__all__
