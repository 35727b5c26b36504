"""The pages of the documentation and README.md: their code is run, and what it prints or draws is compared, or written into the page.

A block of Python that a block of text follows prints that text; its last expression is shown, as in a notebook. One that a picture follows
draws it. ``python -m tests.pages`` (``make docs-outputs``) writes texts and pictures anew; the tests compare.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

import glmmjax as gj
from glmmjax.families import FAMILIES

__all__ = ["DOCS", "PAGES", "ROOT", "Block", "blocks_of", "differences", "family_table", "results_of"]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
_BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n"  # then maybe what it prints, and maybe what it draws
    r"(?:\n+```text\n(?P<text>.*?)^```\n)?"
    r"(?:\n+!\[[^\]]*\]\((?P<figure>\S+?\.png)\))?",
    re.DOTALL | re.MULTILINE,
)
_TOKEN = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?|[^\s\d]+?(?=-?\d|\s|$)|\S")
_FAMILIES = re.compile(r"(<!-- families: .*? -->\n).*?(<!-- end of families -->)", re.DOTALL)
_OWN_PHI = {"student_t": "scale; df where it is estimated", "cumulative": "thresholds"}  # where a field decides their number
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
_SLOW = "<!-- slow -->"
_ROUNDING = 1e-5  # numbers below are rounding errors, or p-values that nobody reads
_DISPLAY = ("display.width", 100, "display.max_columns", 20, "display.max_rows", 20)
_STYLE = {"figure.dpi": 120, "savefig.bbox": "tight", "figure.figsize": (6.4, 4.0)}


class Block(NamedTuple):
    """A block of Python on a page.

    Attributes
    ----------
    code : what is run
    line : of the page, of its first statement
    text : what it prints; None where the page does not say
    figure : path of the picture that it draws, from the page; None where it draws none
    is_slow : it stands below the mark ``<!-- slow -->``, and is left out of quick runs
    """

    code: str
    line: int
    text: str | None
    figure: str | None
    is_slow: bool


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    slow_from = page.find(_SLOW) % (len(page) + 1)
    return [
        Block(found["code"], page.count("\n", 0, found.start("code")) + 1, found["text"], found["figure"], found.start() > slow_from)
        for found in _BLOCK.finditer(page)
    ]


def run_block(block: Block, namespace: dict[str, Any], name: str = "<page>") -> str:
    """Run a block and return what it shows: what it prints, its last expression, then warnings, or the error of glmmjax that ends it."""
    tree = ast.parse("\n" * (block.line - 1) + block.code, name)
    body, end = tree.body, tree.body[-1]
    last = end.value if isinstance(end, ast.Expr) else None
    body = body if last is None else body[:-1]
    shown, failed = io.StringIO(), ""
    with (
        warnings.catch_warnings(record=True) as told,
        contextlib.redirect_stdout(shown),
        pd.option_context(*_DISPLAY),
        mpl.rc_context(_STYLE),
    ):
        warnings.simplefilter("always")
        try:
            exec(compile(ast.Module(body, []), name, "exec"), namespace)
            value = None if last is None else eval(compile(ast.Expression(last), name, "eval"), namespace)
            if value is not None and block.figure is None:
                print(repr(value))
        except gj.errors.GlmmError as error:
            if block.text is None:
                raise
            failed = f"{type(error).__name__}: {error}\n"
    text = shown.getvalue() + "".join(f"{each.category.__name__}: {each.message}\n" for each in told) + failed
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def differences(expected: str, found: str) -> str:
    """What stands in ``expected`` and not in ``found``; numbers may differ in their last digit, and a line ``...`` is any lines."""
    tokens, at = _TOKEN.findall(found), 0
    pieces = re.split(r"^\s*\.\.\.\n", expected, flags=re.MULTILINE)
    for k, piece in enumerate(pieces):
        wanted = _TOKEN.findall(piece)
        starts = range(at, len(tokens) - len(wanted) + 1) if k else (0,)
        ends = [i + len(wanted) for i in starts if _same(wanted, tokens[i : i + len(wanted)])]
        if not ends:
            return f"expected\n{piece}\nfound\n{found}"
        at = ends[0]
    is_open = expected.rstrip().endswith("...")
    return "" if is_open or at == len(tokens) else f"expected\n{expected}\nfound\n{found}"


def _same(wanted: Sequence[str], tokens: Sequence[str]) -> bool:
    return len(wanted) == len(tokens) and all(_is_close(a, b) for a, b in zip(wanted, tokens, strict=True))


def _is_close(wanted: str, found: str) -> bool:
    if wanted == found or not (_NUMBER.fullmatch(wanted) and _NUMBER.fullmatch(found)):
        return wanted == found
    a, b = float(wanted), float(found)
    mantissa, _, exponent = wanted.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    is_count = "." not in wanted and not exponent
    return max(abs(a), abs(b)) < _ROUNDING or abs(a - b) <= (0.0 if is_count else 2.0 * unit + 1e-3 * abs(a))


def results_of(path: Path, namespace: dict[str, Any], with_slow: bool = True) -> Iterator[tuple[Block, str]]:
    """Run the blocks of a page in one namespace; pictures are open when a block is given out."""
    for block in blocks_of(path.read_text(encoding="utf-8")):
        if with_slow or not block.is_slow:
            plt.close("all")
            yield block, run_block(block, namespace, str(path))
    plt.close("all")


def rewrite(path: Path) -> None:
    """Put what its blocks print into the page, and draw its pictures."""
    page = path.read_text(encoding="utf-8")
    written = page
    for block, shown in results_of(path, {"__name__": "__main__"}):
        if block.figure is not None:
            plt.gcf().savefig(path.parent / block.figure, metadata={"Software": None})
        if block.text is not None and differences(block.text, shown):
            before = f"```python\n{block.code}```\n\n```text\n"
            written = written.replace(f"{before}{block.text}```", f"{before}{shown}```")
        elif block.text is None and shown.strip():
            print(f"{path.name}:{block.line} shows\n{shown}", file=sys.stderr)
    written = _FAMILIES.sub(lambda found: f"{found[1]}\n{family_table()}{found[2]}", written)
    if written != page:
        path.write_text(written, encoding="utf-8")


def family_table() -> str:
    """All families of the registry, as a table in Markdown."""
    rows = ["| family | outcome | links | extra parameters |", "|---|---|---|---|"]
    for name, family in FAMILIES.items():
        summary = re.sub(r":math:`([^`]*)`", r"$\1$", inspect.cleandoc(family.__doc__ or "").split("\n\n")[0])
        summary = summary.replace("\n", " ").replace("``", "`")
        links = ", ".join(f"`{link().name}`" for link in family.links)
        phi_names = getattr(family, "phi_names", ())
        extra = ", ".join(phi_names) if isinstance(phi_names, tuple) else _OWN_PHI[name]
        rows.append(f"| `{name}` | {summary} | {links} | {extra} |")
    return "\n".join(rows) + "\n\n"


if __name__ == "__main__":
    mpl.use("Agg")
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or PAGES
    os.chdir(tempfile.mkdtemp())  # where examples write files
    for each in chosen:
        rewrite(each)
