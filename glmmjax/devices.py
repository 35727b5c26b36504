"""Where a fit runs: the argument ``devices`` of ``mixed_model``, and the choice that is made when it is not given."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla.compiler_options import device_in_force
from glmmjax.values import shown

__all__ = ["Placement", "automatic", "on_device", "placement", "portable", "resolve_devices"]

_SMALL_WORK = 10_000_000  # rows x nodes of one evaluation, some 50 ms of a CPU core; an accelerator would need as long to start its kernels
_PLATFORMS = ("cpu", "gpu", "tpu")
_AXIS = ("blocks",)
_ALLOWED = (
    "None (chosen by the size of the data), 'cpu', 'gpu' or 'tpu' (one device of that kind, 'gpu:1' a certain one), a number of devices, "
    "a jax.Device, a sequence of them such as jax.devices()[:2], or a jax.sharding.Mesh"
)


class Placement(NamedTuple):
    """Where one fit runs; without ``device`` and ``mesh`` it is JAX's default device.

    Attributes
    ----------
    device : the device that holds the data and runs everything
    mesh : devices that share the blocks of clusters
    text : in words: "cpu", "4 x cpu"
    """

    device: jax.Device | None
    mesh: Mesh | None
    text: str


def placement(mesh: Mesh | None, work: int | None) -> Placement:
    """Where a fit runs for which ``mesh`` was asked; ``work`` is rows x nodes of one evaluation, None for a stream."""
    default = device_in_force()
    if mesh is None:
        return Placement(None, None, default.platform) if work is None else automatic(default, work)
    if mesh.size > 1:
        n_processes = len({device.process_index for device in mesh.devices.flat})
        text = f"{mesh.size} x {mesh.devices.flat[0].platform}"
        return Placement(None, mesh, text if n_processes == 1 else f"{n_processes} processes, {text}")
    device = mesh.devices.flat[0]
    is_first = device == jax.local_devices(backend=device.platform)[0]
    return Placement(None if device == default else device, None, device.platform if is_first else f"{device.platform}:{device.id}")


def automatic(default: jax.Device, work: int) -> Placement:
    """One device: the default one, unless it is an accelerator and the work too small for it."""
    cpu = None if default.platform == "cpu" or work > _SMALL_WORK else _local_device("cpu")
    if cpu is None:
        return Placement(None, None, default.platform)
    return Placement(cpu, None, f"cpu (small data; devices={default.platform!r} to insist)")


def on_device(device: jax.Device | None) -> contextlib.AbstractContextManager[Any]:
    """Arrays are made on ``device`` inside, where there is one."""
    return contextlib.nullcontext() if device is None else jax.default_device(device)


def resolve_devices(devices: Any) -> Mesh | None:
    """The argument ``devices``, checked, as a mesh of one or several devices; None stays None."""
    if devices is None:
        return None
    if isinstance(devices, str):
        return Mesh(np.array([_of_name(devices)]), _AXIS)
    if isinstance(devices, int | np.integer) and not isinstance(devices, bool):
        return _checked(Mesh(np.array(_first(int(devices))), _AXIS))
    if isinstance(devices, Mesh):
        return _checked(devices)
    given = _several(devices)
    if not given or not all(isinstance(device, jax.Device | str) for device in given):
        raise ArgumentError(f"devices={shown(devices)} must be {_ALLOWED}.")
    return _checked(Mesh(np.array([_of_name(device) if isinstance(device, str) else device for device in given]), _AXIS))


def portable(devices: Any) -> Any:
    """The argument ``devices`` by names where it holds ``jax.Device``, which cannot be pickled."""
    if devices is None or isinstance(devices, str | int | np.integer):
        return devices
    mesh = resolve_devices(devices)
    return None if mesh is None else tuple(f"{device.platform}:{device.id}" for device in mesh.devices.flat)


def _several(devices: Any) -> list[Any]:
    if isinstance(devices, np.ndarray):
        return list(devices.ravel())
    return [devices] if isinstance(devices, jax.Device) else list(devices) if isinstance(devices, Sequence) else []


def _of_name(name: str) -> jax.Device:
    """The first device of that kind here, or the one with that number."""
    platform, _, number = name.partition(":")
    if platform not in _PLATFORMS:
        raise ArgumentError(f"devices={name!r} must be {_ALLOWED}.")
    first = _local_device(platform)
    if first is None:
        raise ArgumentError(f"devices={name!r}: JAX sees no {platform} here, only {_present()}. Install its plugin, or leave devices=None.")
    if ":" not in name:
        return first
    numbered = {str(device.id): device for device in jax.devices(platform)}
    if number not in numbered:
        raise ArgumentError(f"devices={name!r}: the devices of that kind are numbered {', '.join(numbered)}.")
    return numbered[number]


def _local_device(platform: str) -> jax.Device | None:
    try:
        return jax.local_devices(backend=platform)[0]
    except RuntimeError:
        return None


def _first(n: int) -> list[jax.Device]:
    present = jax.devices()
    if not 1 <= n <= len(present):
        raise ArgumentError(
            f"devices={shown(n)} must be a number from 1 to {len(present)}: JAX sees {_present()}. "
            f"A CPU counts as several devices after jax.config.update('jax_num_cpu_devices', {min(max(n, 2), 1024)}), before JAX is "
            "first used."
        )
    return present[:n]


def _checked(mesh: Mesh) -> Mesh:
    """``mesh``, if one program can run on all its devices and this process takes part."""
    devices, texts = list(mesh.devices.flat), [str(device) for device in mesh.devices.flat]
    if len(set(devices)) < len(devices):
        raise ArgumentError(f"devices={texts} has a device twice; name each once.")
    if len({device.platform for device in devices}) > 1:
        raise ArgumentError(f"devices={texts} are of different kinds; choose those of one, such as jax.devices('cpu').")
    if all(device.process_index != jax.process_index() for device in devices):
        raise ArgumentError(
            f"devices={texts} has none of process {jax.process_index()}, which asks for the fit. Take all of jax.devices() to fit with "
            "the other processes, or jax.local_devices() to fit alone."
        )
    return mesh


def _present() -> str:
    """The devices that JAX uses by default, as text."""
    return f"{jax.device_count()} x {jax.default_backend()}"
