"""Batches that two devices share train the network that one device trains."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("training.py")


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path):
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SCRIPT), str(tmp_path / "found.npz")]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(np.load(tmp_path / "found.npz"))
    assert found["2: device"] == "2 x cpu"
    for quantity in ("losses", "output", "variance"):
        np.testing.assert_allclose(found[f"2: {quantity}"], found[f"1: {quantity}"], rtol=1e-8, atol=1e-10)
    assert np.isfinite(found["2 dropped: losses"]).all()
    assert not np.allclose(found["2 dropped: losses"], found["2: losses"])
