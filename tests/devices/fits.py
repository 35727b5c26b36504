"""What the tests of this folder run in processes of their own: fits on several devices, their results written to a file.

``python fits.py FILE`` with 4 devices in one process; ``python fits.py FILE PORT RANK`` as one of two processes.
"""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pandas as pd

import glmmjax as gj

SLOPE = ("y ~ x", "~ x | id", "poisson", 5)
INTERCEPT = ("y ~ x", "~ 1 | id", "binomial", 11)


def small_data() -> pd.DataFrame:
    """Two buckets, neither of a multiple of 4 blocks; fitted at once."""
    rng = np.random.default_rng(3)
    return simulate(np.concatenate([rng.integers(1, 5, 3000), rng.integers(150, 200, 4)]))


def large_data() -> pd.DataFrame:
    """Fitted to a sample first."""
    return simulate(np.full(30_000, 4))


def simulate(sizes: np.ndarray) -> pd.DataFrame:
    """Clusters of these numbers of rows, in no order."""
    rng = np.random.default_rng(7)
    cluster = rng.permutation(np.repeat(rng.permutation(sizes.size), sizes))
    x, b = rng.normal(size=cluster.size), rng.normal(size=(sizes.size, 2)) * [0.7, 0.4]
    eta = -0.3 + 0.5 * x + b[cluster, 0] + b[cluster, 1] * x
    return pd.DataFrame(
        {"x": x, "id": cluster, "poisson": rng.poisson(np.exp(eta)), "binomial": rng.random(x.size) < 1 / (1 + np.exp(-eta))}
    )


def fit(data: pd.DataFrame, model: tuple[str, str, str, int], devices: Any) -> gj.MixedModelResults:
    fixed, random, family, n_agq = model
    coarse = gj.Options(quadrature_limit=1.0)  # few points are enough to see whether devices agree
    frame = data.assign(y=data[family] * 1.0)
    return gj.mixed_model(fixed, random, data=frame, family=family, n_agq=n_agq, devices=devices, options=coarse)


def numbers(found: gj.MixedModelResults) -> dict[str, np.ndarray]:
    """Everything that must not depend on where a fit ran."""
    fitted = found.fitted_model
    assert found.converged
    counts = [fitted.convergence.n_em, fitted.convergence.n_quasi_newton, fitted.convergence.n_newton, fitted.convergence.n_on_sample]
    errors = np.concatenate([found.bse_fe, found.bse_re])
    return {
        "llf": np.array(found.llf),
        "theta": fitted.theta,
        "errors": errors,
        "modes": fitted.modes,
        "counts": np.array(counts),
        "device": np.array(fitted.convergence.device),
    }


def log_likelihood(clusters: Any, mesh: jax.sharding.Mesh | None) -> dict[str, np.ndarray]:
    """The pure layer: values and gradients of a batch of parameters, the Hessian at the first."""

    def value(theta: Any) -> Any:
        return gj.log_likelihood(params_of(theta), clusters, "binomial", 3, mesh)

    theta = jnp.array([-0.3, 0.5, 0.7])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(value)))(jnp.stack([theta, 1.1 * theta]))
    return {"values": np.asarray(values), "gradients": np.asarray(gradients), "hessian": np.asarray(jax.hessian(value)(theta))}


def params_of(theta: Any) -> gj.Params:
    return gj.Params(theta[:2], theta[2:].reshape(1, 1), jnp.zeros(0), jnp.zeros(0))


def clusters_of(data: pd.DataFrame) -> Any:
    return gj.make_design(*INTERCEPT[:2], data=data.assign(y=data["binomial"] * 1.0), family="binomial").clusters


def in_one_process() -> dict[str, dict[str, np.ndarray]]:
    small, large = small_data(), large_data()
    found = {}
    for n in (1, 4):
        found[f"slope {n}"] = numbers(fit(small, SLOPE, n))
        found[f"intercept {n}"] = numbers(fit(large, INTERCEPT, n))
    other = small.assign(poisson=small["poisson"].to_numpy()[::-1])
    found["again"] = {"n_compiled": np.array(n_compiled_by(lambda: fit(other, SLOPE, 4)))}
    with jax.enable_x64(True):
        clusters, mesh = clusters_of(small), jax.make_mesh((2, 2), ("a", "b"))
        sharded = gj.shard_clusters(clusters, mesh)
        for n, cut, where in ((1, clusters, None), (4, sharded, mesh)):
            found[f"pure {n}"] = log_likelihood(cut, where)
            found[f"clusters {n}"] = {"values": np.asarray(gj.cluster_log_likelihoods(params_of(jnp.ones(3)), cut, "binomial", 3))}
            found[f"blocks {n}"] = {"number": np.array([bucket.cluster_weight.shape[0] for bucket in cut.buckets])}
        found["uneven"] = refusal(lambda: gj.log_likelihood(params_of(jnp.ones(3)), clusters, "binomial", 3, mesh))
    return found


def refusal(run: Callable[[], Any]) -> dict[str, np.ndarray]:
    """The error that ``run`` ends in."""
    try:
        run()
    except ValueError as error:
        return {"type": np.array(type(error).__name__), "message": np.array(str(error))}
    return {}


def n_compiled_by(run: Callable[[], Any]) -> int:
    """Programs that JAX compiles while ``run`` runs."""
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if duration_secs >= 0 and "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    run()
    return len(compiled)


def in_two_processes() -> dict[str, dict[str, np.ndarray]]:
    """Over 2 devices of each of 2 processes."""
    data = small_data()
    found = {"slope": numbers(fit(data, SLOPE, jax.devices()))}
    with jax.enable_x64(True):
        mesh = jax.make_mesh((4,), ("blocks",))
        clusters = gj.shard_clusters(clusters_of(data), mesh)
        value = gj.log_likelihood(params_of(jnp.array([-0.3, 0.5, 0.7])), clusters, "binomial", 3, mesh)
    return {**found, "pure": {"value": np.asarray(value)}}


def main(file: str, port: str | None = None, rank: str | None = None) -> None:
    if port is not None and rank is not None:
        jax.distributed.initialize(f"localhost:{port}", 2, int(rank))
    found = in_one_process() if port is None else in_two_processes()
    arrays: dict[str, Any] = {f"{name}: {key}": value for name, entries in found.items() for key, value in entries.items()}
    np.savez(file, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
