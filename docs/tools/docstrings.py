"""Docstrings as Markdown: sections become bold heads with lists, formulas and examples become what Markdown takes."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
_ROLE = re.compile(r":math:`([^`]*)`")
_FORMULA = re.compile(r"^\.\. math:: ?(.*\n(?:[ ]+.*\n)*)", re.MULTILINE)
_EXAMPLE = re.compile(r"^>>> .*\n(?:.+\n)*", re.MULTILINE)
_SOURCE = re.compile(r"^Source: ", re.MULTILINE)
_NAMED = ("Parameters", "Attributes", "Class attributes")  # "name : what it is"
_LISTED = (*_NAMED, "Raises", "Warns")


class Markdown(griffe.Extension):
    """Rewrites every docstring that mkdocstrings collects."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Griffe has read an object."""
        if obj.docstring is not None:
            obj.docstring.value = in_markdown(obj.docstring.value)


def in_markdown(text: str) -> str:
    """A docstring in Markdown."""
    head, *rest = _SECTION.split(text.rstrip() + "\n")
    parts = [_prose(head)]
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        parts.append(f"**{name}**\n\n{_list(body, name in _NAMED) if name in _LISTED else _prose(body)}")
    return "\n\n".join(parts)


def _prose(text: str) -> str:
    text = _ROLE.sub(r"$\1$", text)
    text = _FORMULA.sub(lambda found: "$$" + " ".join(found[1].split()) + "$$\n", text)
    text = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].replace('<BLANKLINE>', '')}```\n", text)
    return _SOURCE.sub("*Source:* ", text).strip()


def _list(body: str, is_named: bool) -> str:
    """Items at the margin with their indented texts, as a list; what follows after an empty line is prose again."""
    items: list[str] = []
    after: list[str] = []
    for line in body.splitlines():
        if after or (not line.strip() and items):
            after.append(line)
        elif line.startswith(" "):
            items[-1] += " " + line.strip()
        else:
            name, mark, what = line.partition(" : ") if is_named else (line, ":", "")
            items.append(f"- `{name}`{mark.strip()} {what}".rstrip() if mark else f"- {line}")
    return "\n".join(_ROLE.sub(r"$\1$", item) for item in items) + "\n\n" + _prose("\n".join(after))
