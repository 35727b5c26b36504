"""Formulas made at random: atoms in any order, and good formulas with a few characters changed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.stress.hostile.judge import Input

__all__ = ["texts"]

_N = 700  # of each kind
_ATOMS = (
    *("x", "z", "sex", "1", "0", "id", "(", ")", "+", "-", "*", ":", "/", "**", "|", "||", "~", "C(", "I(", "bs(", "np.log(", "Q('x')"),
    *(",", "'", "offset(", "2", " ", "[", "]", ".", "=", "t", "^", "%", "lambda", "y", "\n", "\\", "#", "{", "}", "@", ";", "not", "=="),
    *("poly(", "é", "\x00"),
)
_GOOD = (
    "y ~ sex * x + (x | id)",
    "cbind(s, f) ~ bs(x, df=4) + offset(np.log(t)) + (1 | id)",
    "y ~ C(sex, Treatment('m')) / x + (1 || id)",
    "np.log(y + 1) ~ I(x**2):z - 1 + (0 + x | id)",
)


def texts(seed: int = 0) -> Iterator[Input]:
    """Inputs of the design, the same for the same seed."""
    r = random.Random(seed)
    for _ in range(_N):
        text = "y ~ " + " ".join(r.choice(_ATOMS) for _ in range(r.randint(1, 9)))
        yield Input("any", f"design({text!r}, {None if '|' in text else '~ 1 | id'!r})")
    for _ in range(_N):
        text = _mutated(r, r.choice(_GOOD))
        yield Input("any", f"design({text!r}, None, family={'binomial' if 'cbind' in text else 'gaussian'!r})")


def _mutated(r: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(r.randint(1, 4)):
        at, how = r.randrange(len(letters)), r.random()
        if how < 0.4:
            del letters[at]
        elif how < 0.7:
            letters.insert(at, r.choice("()+-*:/|~ ,'.0[]^x%"))
        else:
            other = r.randrange(len(letters))
            letters[at], letters[other] = letters[other], letters[at]
    return "".join(letters)
