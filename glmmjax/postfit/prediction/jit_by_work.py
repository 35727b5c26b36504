"""Compilation by the amount of work: fast compiling for small predictions, fast programs for large ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_compile, run_once
from glmmjax.estimation.xla.program import Program

__all__ = ["sized"]

_MUCH_WORK = 5_000_000  # evaluations of a row's density: a tenth of a second without optimisation


def sized(function: Callable[..., Any], static_argnums: tuple[int, ...]) -> Callable[[int], Callable[..., Any]]:
    """``function`` jitted, as a function of the work: about how many densities it evaluates."""

    @functools.cache
    def program(is_small: bool, platform: str) -> Any:
        return Program(function, static_argnums, functools.partial(run_once if is_small else quick_to_compile, platform))

    return lambda work: program(work < _MUCH_WORK, platform_in_force())
