"""The page of a summary: as text, in notebooks, and, by ``export``, in the languages of documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from glmmjax.other_names import missing_attribute
from glmmjax.tables.export import html_fragment, latex_text, markdown_text
from glmmjax.tables.text import Section

__all__ = ["Summary"]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The summary of a fit. It prints as text and shows as HTML in notebooks.

    Attributes
    ----------
    sections : the parts of the page in their order
    tables : the numbers on the page, DataFrames by name
    """

    sections: tuple[Section, ...]
    tables: Mapping[str, pd.DataFrame]

    if not TYPE_CHECKING:  # a type checker knows the names itself

        def __getattr__(self, name: str) -> Any:  # for names that are not found
            raise missing_attribute(self, name)

    def __str__(self) -> str:
        return "\n\n".join(section.text() for section in self.sections)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_markdown(self) -> str:
        r"""The page as Markdown with pipe tables, names escaped.

        Returns
        -------
        str

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> print(fit.summary().to_markdown())
        #### Call
        ...
        | Intercept | -2.6193 | 0.4451 | -5.8855 | \<1e-04 |
        ...
        """
        return markdown_text(self.sections)

    def to_latex(self) -> str:
        r"""The page as LaTeX, names escaped: paragraphs and ``tabular`` environments for a document with ``\usepackage{booktabs}``.

        Returns
        -------
        str

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> print(fit.summary().to_latex())
        \paragraph{Call}
        ...
        Intercept & $-$2.6193 & 0.4451 & $-$5.8855 & \textless{}1e-04 \\
        ...
        """
        return latex_text(self.sections)

    def to_html(self) -> str:
        r"""The page as one ``<div>`` for any HTML document, with its own styles, names escaped.

        Returns
        -------
        str

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.summary().to_html()
        '<div class="glmmjax-summary" ...<h4>Call</h4>...</div>\n'
        """
        return html_fragment(self.sections)
