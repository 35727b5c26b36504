"""What mkdocs does beside its plugins: the notebooks are pages, and mathematics is MathML, which browsers show without a script."""

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
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the notebooks, which stand beside ``docs``."""
    root = Path(config["config_file_path"]).parent
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        page = "\n\n".join(piece for cell in notebook["cells"] for piece in _cell(cell))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page + "\n"))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Write LaTeX as MathML."""
    return _MATH.sub(
        lambda found: convert(html.unescape(found[3]), display="block" if found[2] == "[" else "inline"),
        content,
    )


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
