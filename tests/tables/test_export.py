"""Summaries in Markdown, LaTeX and HTML: every section is there, and no name is taken for a command."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from glmmjax.tables.page import Summary
from glmmjax.tables.text import Section

NASTY = r"a_b[T.x<5 & y>3]:{c}^2$#%~\d|`e`*'--"


@pytest.fixture
def nasty():
    frame = pd.DataFrame({"Estimate_": ["-1.5", "-"], "p-value": ["<1e-04", "0.5"]}, index=[NASTY, "- x"])
    return Summary((Section("Fixed_effects", (f"call: {NASTY}", "second"), frame, ("- not defined",)),), {})


class Page(HTMLParser):
    """The text and the nesting of tags."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.titles: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)
        if self.open and self.open[-1] == "h4":
            self.titles.append(data)


def test_html_is_well_formed_and_keeps_names(nasty, intro_fit):
    page = Page()
    page.feed(nasty.to_html())
    assert page.open == []
    assert page.cells == ["Estimate_", "p-value", NASTY, "-1.5", "<1e-04", "- x", "-", "0.5"]
    whole = Page()
    whole.feed(intro_fit.summary().to_html())
    assert whole.titles == [section.title for section in intro_fit.summary().sections]
    assert "sex[T.female]:time" in whole.cells
    assert intro_fit.summary().to_html().startswith('<div class="glmmjax-summary"')
    assert "<script" not in intro_fit.summary().to_html()


def latex_words(text):
    """LaTeX back to plain text, by its own rules for the commands that stand in it."""
    names = {"textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<", "textgreater": ">"}
    names |= {"textbar": "|", "textquotesingle": "'"}
    text = re.sub(r"\\(text[a-z]+)\{\}", lambda found: f"\0{list(names).index(found[1])}\0", text)
    text = text.replace("-{}-", "--").replace("{[}", "[").replace("{]}", "]").replace("$-$", "-")
    text = re.sub(r"\\([{}$&#%_])", lambda found: f"\1{ord(found[1])}\1", text)
    assert not re.search(r"[{}$&#%_^~\\<>]", text), text  # nothing that LaTeX would read as a command is left
    text = re.sub("\1(\\d+)\1", lambda found: chr(int(found[1])), text)
    return re.sub("\0(\\d+)\0", lambda found: list(names.values())[int(found[1])], text)


def test_latex_escapes_all_that_is_special(nasty):
    text = nasty.to_latex()
    rows = re.findall(r"^(.*) \\\\$", text, re.MULTILINE)
    cells = [[latex_words(cell).strip() for cell in re.split(r"(?<!\\)&", row)] for row in rows]
    assert [f"call: {NASTY}"] in cells
    assert [NASTY, "-1.5", "<1e-04"] in cells
    assert ["- x", "-", "0.5"] in cells
    assert r"\paragraph{Fixed\_effects}" in text
    assert r"\begin{tabular}{lrr}" in text


def test_latex_of_a_fit_balances(intro_fit, singular_fit):
    for fit in (intro_fit, singular_fit):
        text = fit.summary().to_latex()
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}")
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == len(fit.tables)
        assert text.count(r"\toprule") == text.count(r"\bottomrule")
        for table in re.findall(r"\\begin\{tabular\}\{(l r*|lr*)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
            rows = re.findall(r"^(.*) \\\\$", table[1], re.MULTILINE)
            assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(table[0])}
    assert r"sex{[}T.female{]}:time & 0.0401 & 0.0545 & 0.7360 & 0.4617 \\" in intro_fit.summary().to_latex()


def test_markdown_has_pipe_tables_and_escaped_names(nasty, intro_fit):
    text = nasty.to_markdown()
    (row,) = [line for line in text.splitlines() if line.startswith("| a")]
    cells = re.split(r"(?<!\\)\|", row)[1:-1]
    assert len(cells) == 3
    assert re.sub(r"\\([\\`*_{}\[\]<>#|~$])", r"\1", cells[0].strip()) == NASTY
    assert not re.search(r"(?<!\\)[`*_<$~]", cells[0])
    assert "\\- not defined" in text.splitlines()
    page = intro_fit.summary().to_markdown()
    assert page.count("#### ") == len(intro_fit.summary().sections)
    assert "| sex\\[T.female\\]:time | 0.0401 | 0.0545 | 0.7360 | 0.4617 |" in page
    assert "| :-- | --: | --: | --: | --: |" in page
