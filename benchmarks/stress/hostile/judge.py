"""What becomes of one hostile input."""

from __future__ import annotations

import contextlib
import io
import signal
import traceback
import warnings
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from benchmarks.stress.hostile.names import MARK, NotInstalled, Wrong
from glmmjax.errors import GlmmError

__all__ = ["BAD", "Input", "Verdict", "judged"]

BAD = ("foreign", "wrong", "hang", "code", "refused")
_PACKAGE = "glmmjax"


class Input(NamedTuple):
    """One line of the corpus: what is wanted of it, and the expression."""

    want: str
    text: str


class Verdict(NamedTuple):
    """What it came to (one of ``BAD``, or own, fit, skip), and a text that says why."""

    outcome: str
    text: str


class _Hang(BaseException):
    """Time is up."""


def judged(one: Input, names: dict[str, Any], limit: int) -> Verdict:
    """Evaluate it, within ``limit`` seconds, and compare with what is wanted."""
    MARK.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(one.text, "corpus", "eval")
        found = _outcome(code, names, limit)
    if MARK.exists():
        MARK.unlink()
        return found if one.want == "code" else Verdict("code", f"a file was written, then {found.outcome}")
    if found.outcome == "fit" and one.want == "own":
        return Verdict("wrong", "accepted, and to be refused")
    return Verdict("refused", found.text) if found.outcome == "own" and one.want == "fit" else found


def _outcome(code: CodeType, names: dict[str, Any], limit: int) -> Verdict:
    def ring(*_: Any) -> None:
        raise _Hang

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(limit)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            eval(code, names)
        return Verdict("fit", "")
    except GlmmError as error:
        return Verdict("own", f"{type(error).__name__}: {error}")
    except Wrong as error:
        return Verdict("wrong", str(error))
    except NotInstalled as error:
        return Verdict("skip", str(error))
    except _Hang:
        return Verdict("hang", f"no end after {limit} s")
    except Exception as error:
        return Verdict("foreign", f"{type(error).__name__}: {str(error)[:300]} [{_where(error)}]")
    finally:
        signal.alarm(0)


def _where(error: Exception) -> str:
    """The innermost lines of the package."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parts]
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])
