"""The command line in a process of its own: an exit status, a message, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stress.hostile.names import TMP, D, need

__all__ = ["names"]

_LIMIT_S = 100


def command(
    *arguments: Any, status: int | tuple[int, ...] = 2, stdin: str | None = None, check: Callable[[Any], Any] | None = None
) -> None:
    """It ends with this status, in words that a pipe can take, and without a traceback."""
    call = [sys.executable, "-m", "glmmjax", *map(str, arguments)]
    env_free: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace", "timeout": _LIMIT_S}
    done = subprocess.run(call, input=stdin, cwd=TMP, **env_free)
    text = done.stdout + done.stderr
    need("Traceback" not in text, f"traceback, exit {done.returncode}: {text[-300:]}")
    need(done.returncode in (status if isinstance(status, tuple) else (status,)), f"exit {done.returncode}, not {status}: {text[-300:]}")
    need("\x1b" not in text and "\r" not in done.stdout, "control characters in a pipe")
    if status == 2:
        need(done.stderr and not done.stdout, f"no message on stderr: {text[-200:]}")
    if check:
        check(done)


def file(name: str, content: str | bytes) -> Path:
    """A CSV with this content."""
    path = TMP / f"{name}.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def names() -> dict[str, Any]:
    """What the corpus of commands uses."""
    for ending in ("gz", "zip", "xz", "zst"):
        (TMP / f"bad.csv.{ending}").write_bytes(b"no archive")
    good = file("good", D.to_csv(index=False))
    return {"command": command, "file": file, "good": good, "model": ("y ~ x", "~ 1 | id", "--family", "poisson")}
