"""Compiler options for XLA, by the platform for which a program is compiled."""

from __future__ import annotations

import functools
from typing import Any

import jax

__all__ = ["default_device", "device_in_force", "platform_in_force", "quick_to_compile", "quick_to_run", "run_once"]


# XLA splits what it compiles into 32 object files, to compile them side by side, and each takes three memory maps of the process
_FEW_FILES = ("xla_cpu_parallel_codegen_split_count", 4)


def default_device() -> Any:
    """The device that was chosen in this thread, or a platform's name; None where JAX chooses."""
    settings: Any = jax.config
    return settings.jax_default_device


def device_in_force() -> jax.Device:
    """The device on which arrays are made now; it follows ``jax.default_device``."""
    chosen = default_device()
    if isinstance(chosen, jax.Device):
        return chosen
    return jax.local_devices(backend=chosen)[0]


def platform_in_force() -> str:
    """``"cpu"``, ``"gpu"`` or ``"tpu"``."""
    return device_in_force().platform


def quick_to_compile(platform: str) -> dict[str, Any]:
    """Half the compile time, up to half as fast again to run; and a loop is not an object file of its own."""
    return _accepted(platform, (("xla_cpu_use_fusion_emitters", False), _FEW_FILES))


def run_once(platform: str) -> dict[str, Any]:
    """A third of that compile time, and a fifth of the speed: for what takes a millisecond and runs once."""
    return _accepted(platform, (("xla_cpu_use_fusion_emitters", False), ("xla_backend_optimization_level", 0), _FEW_FILES))


def quick_to_run(platform: str) -> dict[str, Any]:
    """A fifth faster where the processor has registers of 512 bits."""
    return _accepted(platform, (("xla_cpu_prefer_vector_width", 512),))


@functools.cache
def _accepted(platform: str, options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The options where XLA knows them, else none: XLA does not promise them from one release to the next."""
    if platform != "cpu":
        return {}
    chosen = dict(options)
    try:
        with jax.default_device(jax.local_devices(backend=platform)[0]):
            jax.jit(lambda x: x, compiler_options=chosen).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return chosen
