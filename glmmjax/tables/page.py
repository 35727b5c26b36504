"""The page of a summary: as text, in notebooks, and, by ``export``, in the languages of documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd

from glmmjax.tables.export import html_fragment, latex_text, markdown_text
from glmmjax.tables.text import Section

__all__ = ["Summary"]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The summary of a fit: printed as text, shown as HTML by notebooks, and as numbers in ``tables``."""

    sections: tuple[Section, ...]
    tables: Mapping[str, pd.DataFrame]

    def __str__(self) -> str:
        return "\n\n".join(section.text() for section in self.sections)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(section.html() for section in self.sections)

    def to_markdown(self) -> str:
        """The page as Markdown with pipe tables, names escaped."""
        return markdown_text(self.sections)

    def to_latex(self) -> str:
        r"""The page as LaTeX, names escaped: paragraphs and ``tabular`` environments for a document with ``\usepackage{booktabs}``."""
        return latex_text(self.sections)

    def to_html(self) -> str:
        """The page as one ``<div>`` for any HTML document, with its own styles, names escaped."""
        return html_fragment(self.sections)
