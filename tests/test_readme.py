"""The examples of README.md run as they stand there."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import glmmjax as gj

README = Path(__file__).parents[1] / "README.md"


def examples_of(section):
    """The Python code below the heading ``section``, in one piece."""
    text = README.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))


@pytest.fixture(scope="module")
def in_a_jax_program(intro_binomial, compile_quickly):
    namespace = {"gj": gj, "data": intro_binomial}
    exec(compile(examples_of("In a JAX program"), str(README), "exec"), namespace)
    return namespace


def test_the_pure_likelihood_of_the_readme(in_a_jax_program):
    found = in_a_jax_program
    assert np.isfinite(found["value"])
    assert found["gradient"].beta.shape == (4,)
    assert found["estimates"].beta.shape == (4,)


def test_the_offset_made_by_a_network_has_the_slopes_of_finite_differences(in_a_jax_program):
    loss, network, params, slopes = (in_a_jax_program[name] for name in ("loss", "network", "params", "slopes"))
    size = jnp.linalg.norm(slopes["output"])
    step = 0.05 * slopes["output"] / size
    ahead, behind = (loss({**network, "output": network["output"] + sign * step}, params) for sign in (1, -1))
    np.testing.assert_allclose(size, (ahead - behind) / 0.1, rtol=1e-2)  # in 32 bits; in 64 in likelihood/test_clusters.py
    assert in_a_jax_program["slope_of_params"].chol.shape == (1, 1)
