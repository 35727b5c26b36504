"""Reading of formula texts as Python tokens: brackets, top-level operators and the names used.

Pure text. Tokens (and not characters or regular expressions) keep quotes, nested brackets and keyword arguments apart from
operators of the formula. ``split`` knows what the operators mean.
"""

from __future__ import annotations

import ast
import functools
import io
import keyword
import tokenize
from typing import NamedTuple

from glmmjax.errors import FormulaError

__all__ = ["Name", "Token", "call_argument", "names_in", "read_tokens", "split_at", "unquoted_name"]

_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
_IGNORED = {tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.INDENT, tokenize.DEDENT}


class Token(NamedTuple):
    """One token of a formula; ``text[start:end]`` of the stripped formula is its text.

    Attributes
    ----------
    text : the token as written
    kind : its number in the module ``tokenize``
    start : position of its first character
    end : position after its last character
    depth : number of brackets around it; a bracket is outside itself
    in_python : inside the brackets of a call or an index, where operators are Python's and not the formula's
    """

    text: str
    kind: int
    start: int
    end: int
    depth: int
    in_python: bool


class Name(NamedTuple):
    """A name that a formula looks up.

    Attributes
    ----------
    text : the name as written
    is_called : whether an opening bracket follows, as in ``name(``
    is_bare : whether it is a whole variable of a term: not called, not inside brackets, not ``name.attribute``
    """

    text: str
    is_called: bool
    is_bare: bool


@functools.lru_cache(maxsize=256)
def read_tokens(text: str) -> tuple[Token, ...]:
    """Tokens of ``text``, which must be stripped and on one line, with their bracket depth.

    Raises
    ------
    FormulaError
        For an open string, a bracket without its partner, a comment, a character that Python does not know, and for R's ``^``,
        which Python would take for something else without an error.
    """
    tokens: list[Token] = []
    open_brackets: list[tuple[str, bool]] = []
    for kind, string, start, end in _python_tokens(text):
        if string in _CLOSING and (not open_brackets or _OPENING[open_brackets.pop()[0]] != string):
            raise FormulaError(f"cannot read the formula {text!r}: {string!r} at character {start + 1} closes no bracket.")
        if string == "^":
            raise FormulaError(f"the formula {text!r} has a ^, which in Python is an exclusive or: write ** for a power, as in I(x**2).")
        in_python = any(python for _, python in open_brackets)
        tokens.append(Token(string, kind, start, end, len(open_brackets), in_python))
        if string in _OPENING:
            open_brackets.append((string, string != "(" or _is_callable(tokens[:-1])))
    if open_brackets:
        raise FormulaError(f"cannot read the formula {text!r}: {open_brackets[-1][0]!r} is never closed.")
    return tuple(tokens)


def split_at(text: str, operator: str) -> list[str]:
    """Pieces of ``text`` between the top-level occurrences of a one-character ``operator``, each stripped."""
    text = text.strip()
    cuts = [token for token in read_tokens(text) if token.depth == 0 and token.text == operator]
    starts, ends = [0, *(c.end for c in cuts)], [*(c.start for c in cuts), len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def call_argument(text: str, function: str) -> str | None:
    """The text between the brackets when ``text`` as a whole is ``function(...)``, else None. ``function=""`` reads a plain ``(...)``."""
    text = text.strip()
    tokens = read_tokens(text)
    head = 1 if function else 0
    if len(tokens) < head + 2 or (function and tokens[0].text != function) or tokens[head].text != "(":
        return None
    closing = next(token for token in tokens[head + 1 :] if token.depth == 0)
    return text[tokens[head].end : closing.start].strip() if closing is tokens[-1] else None


def names_in(text: str) -> tuple[Name, ...]:
    """Names that a formula or an expression looks up, without keywords, keyword arguments and attributes.

    ``Q("my column")`` counts as the bare name ``my column``.
    """
    text = text.strip()
    tokens = read_tokens(text)
    texts = ["", *(token.text for token in tokens), "", ""]
    names = []
    for k, token in enumerate(tokens):
        before, after = texts[k], texts[k + 2]
        is_keyword_argument = after == "=" and token.depth > 0
        if token.kind != tokenize.NAME or keyword.iskeyword(token.text) or before == "." or is_keyword_argument:
            continue
        quoted = _string(tokens[k + 2]) if token.text == "Q" and after == "(" and k + 2 < len(tokens) else None
        if quoted is not None:
            names.append(Name(quoted, is_called=False, is_bare=not token.in_python))
        else:
            names.append(Name(token.text, is_called=after == "(", is_bare=after not in ("(", ".", "[") and not token.in_python))
    return tuple(dict.fromkeys(names))


def unquoted_name(text: str) -> str | None:
    """The column meant by ``text`` when it is a single name or ``Q("any text")``, else None."""
    if text.isidentifier():
        return text
    argument = call_argument(text, "Q") or ""
    tokens = read_tokens(argument)
    return _string(tokens[0]) if len(tokens) == 1 else None


def _string(token: Token) -> str | None:
    """The text that a token stands for; None for anything else, such as bytes and f-strings."""
    try:
        value = ast.literal_eval(token.text) if token.kind == tokenize.STRING else None
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, str) else None


def _python_tokens(text: str) -> list[tuple[int, str, int, int]]:
    """(kind, text, start, end) of the tokens that matter."""
    found = []
    try:
        for kind, string, (line, start), (_, end), _ in tokenize.generate_tokens(io.StringIO(text).readline):
            # Python 3.11 reports a stray quote as an error token, 3.12 raises; a second line can only be the end marker
            if kind in (tokenize.ERRORTOKEN, tokenize.COMMENT) and string.strip():
                raise FormulaError(f"cannot read the formula {text!r}: unexpected {string!r} at character {start + 1}.")
            if kind not in _IGNORED and string.strip() and line == 1:
                found.append((kind, string, start, end))
    except (tokenize.TokenError, SyntaxError) as error:
        # an unclosed bracket ends here as well; the tokens so far are all of them, and the caller counts the brackets
        if "multi-line statement" not in str(error):
            raise FormulaError(f"cannot read the formula {text!r}: {error.args[0]}.") from None
    return found


def _is_callable(before: list[Token]) -> bool:
    """Whether an opening bracket after these tokens calls or indexes the name before it."""
    if not before:
        return False
    last = before[-1]
    return last.text in _CLOSING or (last.kind == tokenize.NAME and not keyword.iskeyword(last.text)) or last.kind == tokenize.STRING
