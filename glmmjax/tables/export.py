"""A summary in the languages of documents: Markdown, LaTeX, and a whole fragment of HTML.

Names in a model contain characters that are commands in these languages: ``sex[T.female]``, ``bs(x)_1``, ``a*b``, ``"<65"``. They are
escaped here.
"""

from __future__ import annotations

import html
import re

import pandas as pd

from glmmjax.tables.text import Section

__all__ = ["html_fragment", "latex_text", "markdown_text"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "'": r"\textquotesingle{}",
    "[": "{[}",  # after a line break a bracket would be its optional argument
    "]": "{]}",
}
_MARKDOWN = r"\`*_{}[]<>#|~$"
_STYLE = (
    "font-family: sans-serif; font-size: 14px; line-height: 1.4; max-width: 60em",
    "border-collapse: collapse; margin: 0.3em 0; font-variant-numeric: tabular-nums",
    "text-align: right; padding: 0.1em 0.8em; border-bottom: 1px solid #ddd",
    "text-align: left; padding: 0.1em 0.8em; border-bottom: 1px solid #ddd; font-weight: normal",
    "text-align: right; padding: 0.1em 0.8em; border-bottom: 2px solid #666",
)


def markdown_text(sections: tuple[Section, ...]) -> str:
    """The sections as Markdown with pipe tables, each under a heading of the fourth level."""
    return "\n\n".join(_markdown_section(section) for section in sections) + "\n"


def latex_text(sections: tuple[Section, ...]) -> str:
    """The sections as LaTeX that needs no package but ``booktabs`` and ``textcomp``: paragraphs and ``tabular`` environments."""
    return "\n\n".join(_latex_section(section) for section in sections) + "\n"


def html_fragment(sections: tuple[Section, ...]) -> str:
    """The sections as one ``<div>`` that looks the same in any page, because it has its own styles."""
    return f'<div class="glmmjax-summary" style="{_STYLE[0]}">\n' + "\n".join(_html_section(section) for section in sections) + "\n</div>\n"


def _markdown_section(section: Section) -> str:
    paragraphs = [f"#### {_markdown(section.title)}"]
    paragraphs += ["  \n".join(map(_markdown, lines)) for lines in (section.lines,) if lines]
    if section.frame is not None:
        header, *rows = _cells(section.frame)
        alignment = [":--", *["--:"] * (len(header) - 1)]
        table = [map(_markdown, header), alignment, *(map(_markdown, row) for row in rows)]
        paragraphs.append("\n".join(f"| {' | '.join(row)} |" for row in table))
    paragraphs += ["  \n".join(map(_markdown, section.notes))] if section.notes else []
    return "\n\n".join(paragraphs)


def _latex_section(section: Section) -> str:
    title = rf"\paragraph{{{_latex(section.title)}}}"
    lines = [" \\\\\n".join(map(_latex, section.lines))] if section.lines else []
    table = []
    if section.frame is not None:
        header, *rows = _cells(section.frame)
        body = [" & ".join(map(_latex_cell, row)) + r" \\" for row in (header, *rows)]
        begin = rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"
        table = ["\n".join([r"\par\noindent", begin, r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule", r"\end{tabular}"])]
    notes = [r"\par\noindent " + " \\\\\n".join(map(_latex, section.notes))] if section.notes else []
    return "\n".join([title, *lines, *table, *notes])


def _html_section(section: Section) -> str:
    before, after = ("<br>".join(map(html.escape, lines)) for lines in (section.lines, section.notes))
    parts = [f"<h4>{html.escape(section.title)}</h4>"]
    parts += [f"<p>{before}</p>"] if before else []
    if section.frame is not None:
        header, *rows = _cells(section.frame)
        head = "".join(f'<th scope="col" style="{_STYLE[4]}">{html.escape(cell)}</th>' for cell in header)
        body = "\n".join(f"<tr>{_html_cells(row)}</tr>" for row in rows)
        parts.append(f'<table style="{_STYLE[1]}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>')
    parts += [f"<p>{after}</p>"] if after else []
    return "\n".join(parts)


def _html_cells(row: list[str]) -> str:
    first, *others = map(html.escape, row)
    return f'<th scope="row" style="{_STYLE[3]}">{first}</th>' + "".join(f'<td style="{_STYLE[2]}">{cell}</td>' for cell in others)


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    """Header and rows of a table of texts, with its index as the first column."""
    header = ["", *(str(name).strip() for name in frame.columns)]
    return [header, *([str(name), *map(str, row)] for name, row in zip(frame.index, frame.itertuples(index=False), strict=True))]


def _latex_cell(text: str) -> str:
    """The cell with a mathematical minus before a negative number."""
    return f"$-${_latex(text[1:])}" if re.match(r"-\d", text) else _latex(text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text).replace("--", "-{}-")  # LaTeX makes a dash of two hyphens


def _markdown(text: str) -> str:
    escaped = "".join(f"\\{character}" if character in _MARKDOWN else character for character in text)
    return re.sub(r"^([-+] )", r"\\\1", escaped)  # else Markdown makes it an item of a list
