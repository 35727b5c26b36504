"""What mkdocs does beside its plugins: notebooks are pages, families are listed, and mathematics is MathML, which needs no script."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

_MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_FAMILY = re.compile(r"^from (glmmjax\.families\.(?!base)\w+) import (\w+) as", re.MULTILINE)
_FAMILIES = """# Families

As `gj.families.Beta(link="probit")`, or by name. The guide: [Choosing a family](../families.md).

"""
_FAMILY_PAGE = """::: {}
    options:
      members: false
      inherited_members: false
"""
_CELL = re.compile(r"<td.*?</td>", re.DOTALL)
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the notebooks, which stand beside ``docs``, and the reference of the families, from the lines of their registry."""
    root = Path(config["config_file_path"]).parent
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        page = "\n\n".join(piece for cell in notebook["cells"] for piece in _cell(cell)).replace("](../docs/", "](../")
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page + "\n"))
    registry = (root / "glmmjax" / "families" / "registry.py").read_text(encoding="utf-8")
    pages = [_FAMILY_PAGE.format(".".join(found)) for found in (("glmmjax.families.custom", "Custom"), *_FAMILY.findall(registry))]
    files.append(File.generated(config, "reference/families.md", content=_FAMILIES + "\n".join(pages)))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Write LaTeX as MathML, and the bars in code in tables, which GitHub wants escaped, as bars."""
    content = _CELL.sub(lambda found: found[0].replace("\\|", "|"), content)
    return _MATH.sub(lambda found: convert(html.unescape(found[3]), display="block" if found[2] == "[" else "inline"), content)


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    """A cell of a notebook in Markdown, with its outputs."""
    source = "".join(cell["source"])
    yield f"```python\n{source}\n```" if cell["cell_type"] == "code" else source
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![Output of the code above](data:image/png;base64,{''.join(data['image/png']).strip()})"
        elif "text/html" in data:
            table = "\n".join(line for line in _STYLE.sub("", "".join(data["text/html"])).splitlines() if line.strip())
            yield f'<div class="output">{table}</div>'
        else:
            text = "".join(output.get("text") or data.get("text/plain", ()))
            yield f"```text\n{text.rstrip()}\n```"
