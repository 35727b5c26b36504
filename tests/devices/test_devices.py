"""Several devices give what one gives. The fits run in processes of their own, because a process has its devices for life."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.datasets import load_intro_binomial
from glmmjax.devices import automatic, placement, resolve_devices
from glmmjax.errors import ArgumentError

SCRIPT = Path(__file__).with_name("fits.py")


def start(n_devices: int, *arguments: str) -> subprocess.Popen[str]:
    flags = f"--xla_force_host_platform_device_count={n_devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results of one process with 4 devices."""
    file = tmp_path_factory.mktemp("devices") / "one.npz"
    finish(start(4, str(file)))
    return dict(np.load(file))


@pytest.mark.parametrize("model", ["slope", "intercept"])
def test_four_devices_give_the_fit_of_one(found, model):
    for quantity in ("llf", "theta", "errors", "modes"):
        one, four = found[f"{model} 1: {quantity}"], found[f"{model} 4: {quantity}"]
        # modes follow the estimates, which agree as far as the tolerance that ends a fit; the sums themselves to rounding
        np.testing.assert_allclose(four, one, rtol=1e-10 if quantity == "llf" else 1e-7, atol=1e-7 if quantity == "modes" else 1e-10)
    assert found[f"{model} 4: device"] == "4 x cpu"
    assert found[f"{model} 1: device"] == "cpu"


def test_pure_layer_on_a_mesh_of_two_axes(found):
    assert any(found["blocks 1: number"] % 4)  # so that blocks had to be added
    assert not any(found["blocks 4: number"] % 4)
    for quantity in ("value", "gradient", "batch", "hessian"):
        np.testing.assert_allclose(found[f"pure 4: {quantity}"], found[f"pure 1: {quantity}"], rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(found["clusters 4: values"], found["clusters 1: values"], rtol=1e-10)


def test_a_second_fit_of_the_same_shapes_compiles_nothing(found):
    assert found["again: n_compiled"] == 0


def test_two_processes_give_the_fit_of_one(found, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    files = [tmp_path / f"{rank}.npz" for rank in range(2)]
    processes = [start(2, str(file), port, str(rank)) for rank, file in enumerate(files)]
    for process in processes:
        finish(process)
    for file in files:
        two = dict(np.load(file))
        np.testing.assert_allclose(two["intercept: llf"], found["intercept 4: llf"], rtol=1e-10)
        for quantity in ("theta", "errors"):
            np.testing.assert_allclose(two[f"intercept: {quantity}"], found[f"intercept 4: {quantity}"], rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(two["pure: value"], found["pure 1: value"], rtol=1e-10)
        assert two["intercept: device"] == "2 processes, 4 x cpu"


class _Accelerator:
    platform = "gpu"


def test_small_data_stay_off_an_accelerator_and_the_choice_is_told():
    small, large = automatic(_Accelerator(), 1_000), automatic(_Accelerator(), 10**9)  # type: ignore[arg-type]
    assert small.device is not None
    assert small.device.platform == "cpu"
    assert small.text == "cpu (small data; devices='gpu' to insist)"
    assert large.device is None
    assert large.text == "gpu"
    assert placement(None, 1_000).text == "cpu"


@pytest.mark.parametrize(
    ("devices", "match"),
    [
        ("abacus", "devices='abacus' must be None"),
        ("tpu", "JAX sees no tpu here"),
        (0, "devices=0 must be a number from 1 to"),
        (99, "JAX sees 1 x cpu"),
        (True, "devices=True must be None"),
        ([], r"devices=\[\] must be"),
        ([jax.devices()[0]] * 2, "has a device twice"),
        (1.5, "devices=1.5 must be None"),
    ],
)
def test_devices_that_make_no_sense(devices, match):
    with pytest.raises(ArgumentError, match=match):
        resolve_devices(devices)
    with pytest.raises(ArgumentError, match=match):
        gj.mixed_model("y ~ sex * time", "~ 1 | id", data=load_intro_binomial(), family="binomial", devices=devices)


def test_clusters_that_were_not_sharded(monkeypatch):
    data = load_intro_binomial()
    clusters = gj.make_design("y ~ sex * time", "~ 1 | id", data=data, family="binomial").clusters
    with pytest.raises(ArgumentError, match="clusters must be a ClusterData"):
        gj.shard_clusters(data, jax.make_mesh((1,), ("blocks",)))  # type: ignore[arg-type]
    assert gj.shard_clusters(clusters, jax.make_mesh((1,), ("blocks",))).slots.shape == clusters.slots.shape
