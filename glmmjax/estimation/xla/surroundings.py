"""Everything around a program that decides what XLA makes of it: our source, the versions, the machine, XLA's flags."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import jax
import jaxlib

__all__ = ["surroundings"]


@functools.cache
def surroundings() -> str:
    """Our source, the versions, the machine and XLA's flags."""
    device = jax.devices()[0]
    flags = tuple(os.environ.get(name, "") for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "JAX_PLATFORMS"))
    numpy: Any = sys.modules["numpy"]  # JAX has loaded it
    versions = (sys.version_info[:3], numpy.__version__, jax.__version__, jaxlib.__version__, _optax(), device.client.platform_version)
    return repr((_source(), versions, device.platform, device.device_kind, jax.device_count(), platform.machine(), _processor(), flags))


def _optax() -> str:
    """The version of optax, whose steps are traced into some programs; it need not be loaded."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("optax")
    return ""


def _source() -> str:
    """A digest of this package's files."""
    package, digest = Path(__file__).parents[2], hashlib.blake2b()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _processor() -> str:
    """The model and the features of the processor, for which XLA compiles."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0].splitlines()
        return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))
    return platform.processor()
