"""The recipes of CONTRIBUTING.md as changes of files, and their code as it would be after these changes."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["CONTRIBUTING", "Change", "changed", "changes_of", "skeleton"]

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
_BLOCK = re.compile(r"^(?:A new file,|In) `([^`]+)`(?:, above `([^`]+)`)?:\n\n```python\n(.*?)```$", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^- in `([^`]+)`, above `([^`]+)`:\s+(`+) ?(.+?) ?\3$", re.MULTILINE)


class Change(NamedTuple):
    """A file to write, or lines to write above one that a file has.

    Attributes
    ----------
    path : of the file, from the root of the repository
    above : how the line begins above which ``code`` comes, marks of lists left out; empty for a new file
    code : lines with their ends
    """

    path: str
    above: str
    code: str


def changes_of(recipe: str) -> list[Change]:
    """The changes below a heading."""
    text = CONTRIBUTING.read_text(encoding="utf-8").split(f"## {recipe}\n")[1].split("\n## ")[0]
    blocks = [Change(*found) for found in _BLOCK.findall(text)]
    return blocks + [Change(path, above, line + "\n") for path, above, _, line in _LINE.findall(text)]


def changed(text: str, change: Change) -> str:
    """The text of a file after a change. A single line is indented as the line below it, and several lines are set off as it is."""
    lines = text.splitlines(keepends=True)
    (at,) = (k for k, line in enumerate(lines) if line.lstrip(" -`").startswith(change.above))
    if change.code.count("\n") == 1:
        return "".join([*lines[:at], _indent(lines[at]) + change.code, *lines[at:]])
    first = next(k for k in range(at, 0, -1) if not lines[k - 1].lstrip().startswith("@"))  # decorators belong to what they decorate
    n_blank = next(k for k in range(first) if lines[first - 1 - k].strip())
    return "".join([*lines[:first], change.code, *["\n"] * n_blank, *lines[first:]])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def skeleton(path: str, name: str) -> Any:
    """What the recipes call ``name`` in the file ``path``, as if they had been followed."""
    dotted = path.removesuffix(".py").replace("/", ".")
    try:
        module = importlib.import_module(dotted)
    except ModuleNotFoundError:
        module = sys.modules[dotted] = ModuleType(dotted)
    if not hasattr(module, name):
        text = CONTRIBUTING.read_text(encoding="utf-8")
        (code,) = (code for file, _, code in _BLOCK.findall(text) if file == path and re.search(rf"(class|def) {name}\(", code))
        exec(compile(code, f"{CONTRIBUTING}, {path}", "exec"), module.__dict__)
    return getattr(module, name)
