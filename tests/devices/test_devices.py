"""Several devices give what one gives. The fits run in processes of their own, because a process has its devices for life."""

import dataclasses
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.datasets import load_intro_binomial
from glmmjax.devices import automatic, placement, resolve_devices
from glmmjax.errors import ArgumentError
from glmmjax.tables.summary import summary

SCRIPT = Path(__file__).with_name("fits.py")
QUANTITIES = ("llf", "theta", "errors", "modes", "counts")


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


def assert_same(found, expected) -> None:
    """To 1e-10, relative to the largest entry."""
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.mark.slow  # a process with four devices compiles for two minutes
@pytest.mark.parametrize("model", ["slope", "intercept"])
def test_four_devices_give_the_fit_of_one(found, model):
    for quantity in QUANTITIES:
        assert_same(found[f"{model} 4: {quantity}"], found[f"{model} 1: {quantity}"])
    assert found[f"{model} 4: device"] == "4 x cpu"
    assert found[f"{model} 1: device"] == "cpu"
    assert (found[f"{model} 4: counts"][3] > 0) == (model == "intercept")  # evaluations on a sample


@pytest.mark.slow
def test_pure_layer_on_a_mesh_of_two_axes(found):
    assert any(found["blocks 1: number"] % 4)  # so that blocks had to be added
    assert not any(found["blocks 4: number"] % 4)
    for quantity in ("pure {}: values", "pure {}: gradients", "pure {}: hessian", "clusters {}: values"):
        assert_same(found[quantity.format(4)], found[quantity.format(1)])


@pytest.mark.slow
def test_a_second_fit_of_the_same_shapes_compiles_nothing(found):
    assert found["again: n_compiled"] == 0


@pytest.mark.slow
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
        for quantity in QUANTITIES:
            assert_same(two[f"slope: {quantity}"], found[f"slope 1: {quantity}"])
        assert_same(two["pure: value"], found["pure 1: values"][0])
        assert two["slope: device"] == "2 processes, 4 x cpu"


class _Accelerator:
    platform = "gpu"


def test_small_data_stay_off_an_accelerator_and_the_choice_is_told():
    gpu: Any = _Accelerator()
    small, large = automatic(gpu, 1_000), automatic(gpu, 10**9)
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
        ("cpu:7", "the devices of that kind are numbered 0"),
        (0, "devices=0 must be a number from 1 to"),
        (99, "JAX sees 1 x cpu"),
        (True, "devices=True must be None"),
        ([], r"devices=\[\] must be"),
        ([jax.devices()[0]] * 2, "has a device twice"),
        (1.5, "devices=1.5 must be None"),
        (jax.make_mesh((1,), ("blocks",)).abstract_mesh, "must be None"),
    ],
)
def test_devices_that_make_no_sense(devices, match):
    with pytest.raises(ArgumentError, match=match):
        resolve_devices(devices)
    with pytest.raises(ArgumentError, match=match):
        gj.mixed_model("y ~ sex * time", "~ 1 | id", data=load_intro_binomial(), family="binomial", devices=devices)


@pytest.mark.slow
def test_clusters_that_were_not_sharded(found):
    assert "which mesh does not cut into 4 equal shares; pass shard_clusters(clusters, mesh)" in str(found["uneven: message"])
    assert found["uneven: type"] == "ArgumentError"


def test_arguments_of_another_type():
    data = load_intro_binomial()
    clusters: Any = gj.make_design("y ~ sex * time", "~ 1 | id", data=data, family="binomial").clusters
    wrong: Any = data
    with pytest.raises(ArgumentError, match=r"clusters=<DataFrame .*> must be a ClusterData, such as design\.clusters"):
        gj.shard_clusters(wrong, jax.make_mesh((1,), ("blocks",)))
    with pytest.raises(ArgumentError, match=r"mesh=<DataFrame of shape .* must be a jax\.sharding\.Mesh, such as jax\.make_mesh"):
        gj.shard_clusters(clusters, wrong)


def test_update_keeps_the_devices_and_one_device_is_no_news(intro_binomial):
    fit = gj.mixed_model("y ~ sex * time", "~ 1 | id", data=intro_binomial, family="binomial", devices=jax.devices())
    fit = pickle.loads(pickle.dumps(fit)).update(n_agq=15)  # a device itself cannot be pickled
    assert fit.fitted_model.request.devices == ("cpu:0",)
    assert fit.convergence.device == "cpu"
    assert "device:" not in str(fit.summary())


def test_the_summary_tells_of_several_devices(intro_fit):
    fitted = intro_fit.fitted_model
    told = dataclasses.replace(fitted, convergence=dataclasses.replace(fitted.convergence, device="2 processes, 8 x gpu"))
    assert "device: 2 processes, 8 x gpu" in str(summary(told))
