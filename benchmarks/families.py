"""What a family costs: value and gradient in multiples of its own density, one written by a user, and two random parts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.machine import memory_now, memory_peak
from benchmarks.models import Model
from benchmarks.table import Table, seconds, times
from benchmarks.timing import clock, median_of, warm_median
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.programs import programs
from glmmjax.families import Custom, log_gamma, log_rising
from glmmjax.likelihood.block_sums import Span, start_modes
from glmmjax.likelihood.params import Theta

__all__ = ["print_families"]

_REPOSITORY = Path(__file__).parents[1]
_CLUSTERS, _CLUSTER_SIZE = 1_000, 10
_TARGET = 8.0  # densities that value and gradient may cost
_LABEL_WIDTH = 30


def print_families(part: int = 1) -> None:
    """Every ``part``-th family, then the family of a user, then two random parts with 100,000 / ``part`` rows."""
    _print_evaluations(part)
    _print_custom()
    _print_two_parts(100_000 // part)


def _print_evaluations(part: int) -> None:
    """A line a family, at the parameters behind its data."""
    from tests.families.cases.simulated import BY_CLASS

    title = f"{_CLUSTERS * _CLUSTER_SIZE:,} rows, q = 1, float64, 11 points: value and gradient, modes from zero, against the density alone"
    table = Table(title, "family", "density", "gradient", "ratio", "compiling", label_width=_LABEL_WIDTH)
    above = []
    for name in sorted(BY_CLASS)[::part]:
        with jax.enable_x64(True):
            model = _model(BY_CLASS[name])
            density, (compiling, gradient) = _density(model), _gradient(model)
        ratio = gradient / density
        above += [f"{name} {times(ratio)}"] if ratio > _TARGET else []
        table.row(name, seconds(density), seconds(gradient), times(ratio), seconds(compiling))
    print(f"  above {_TARGET:g}x: {', '.join(above) or 'none'}", flush=True)


def _model(row: Any) -> Model:
    """The likelihood of data simulated from a row of the tests' table, at the parameters behind them."""
    from tests.families.cases.simulated import parameters, simulated

    design, params = simulated(row, _CLUSTERS, _CLUSTER_SIZE, seed=7), parameters(row)
    layout = Theta(len(params.beta), design.covariance, len(params.phi), len(params.gamma))
    return Model(Problem(design.family, layout), design.clusters.buckets, np.asarray(layout.vector(params)))


def _density(model: Model) -> float:
    """Seconds of the log densities of all rows at all nodes, summed."""
    (bucket,), params = model.buckets, model.problem.layout.params(jnp.asarray(model.theta))
    shape = (model.n_nodes, *bucket.row_weight.shape)
    eta = params.beta[0] + 0.7 * jax.random.normal(jax.random.key(1), shape)
    zero = tuple(jnp.full(shape, gamma) for gamma in params.gamma)
    run = jax.jit(lambda *arguments: model.problem.family.log_density(*arguments).sum())
    arguments = bucket.y, eta, params.phi, *zero
    jax.block_until_ready(run(*arguments))
    return median_of(lambda: jax.block_until_ready(run(*arguments)))


def _gradient(model: Model) -> tuple[float, float]:
    """Seconds of compiling and of an evaluation."""
    modes = start_modes(model.buckets, model.q)
    spans = tuple(Span(np.int32(0), np.int32(len(bucket.cluster_weight)), np.int32(1)) for bucket in model.buckets)
    begin = time.perf_counter()
    programs(is_small=False).evaluate.trace(model.problem, model.theta, model.buckets, model.rule, modes, spans).lower().compile()
    compiling = time.perf_counter() - begin
    parts = model.parts()
    parts.evaluate(model.theta, model.rule)
    taken = median_of(lambda: parts.evaluate(model.theta, model.rule))
    parts.close()
    return compiling, taken


def _negative_binomial(y: Any, eta: Any, phi: Any) -> Any:
    """As a user writes it: what depends on the predictor."""
    return y * eta - (jnp.exp(phi[0]) + y) * gj.families.softplus(eta - phi[0])


def _base(y: Any, phi: Any) -> Any:
    """The rest."""
    return log_rising(jnp.exp(phi[0]), y) - y * phi[0] - log_gamma(y + 1.0)


def _print_custom() -> None:
    """The two fits, and how far apart they are."""
    rng, cluster = np.random.default_rng(3), np.repeat(np.arange(_CLUSTERS), _CLUSTER_SIZE)
    x = rng.normal(size=len(cluster))
    mean = np.exp(0.8 + 0.4 * x + 0.6 * rng.normal(size=_CLUSTERS)[cluster])
    data = pd.DataFrame({"id": cluster, "x": x, "y": rng.negative_binomial(1.8, 1.8 / (1.8 + mean))})
    table = Table(f"negative binomial, {len(data):,} rows, 11 points", "", "warm fit", "logLik", "evaluations", label_width=_LABEL_WIDTH)
    own = Custom(_negative_binomial, link="log", n_phi=1, log_base=_base, is_log_concave=True)
    families = {"built in": gj.families.NegativeBinomial(), "Custom": own}
    taken, fits = [], []
    for label, family in families.items():
        fit_s, _, fit = warm_median(lambda: gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family=family, n_agq=11))
        table.row(label, seconds(fit_s), f"{fit.llf:.4f}", str(fit.convergence.n_evaluations))
        taken.append(fit_s)
        fits.append(fit)
    built_in, custom = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(fit.params)]) for fit in fits)
    differences = f"logLik {abs(fits[1].llf - fits[0].llf):.1e}, estimates {np.abs(custom - built_in).max():.1e}"
    print(f"  Custom / built in {times(taken[1] / taken[0])}; differences: {differences}", flush=True)


def _print_two_parts(rows: int) -> None:
    """``main`` in a process of its own, the data simulated here, so that their making does not count."""
    with tempfile.TemporaryDirectory() as folder:
        for name, values in _zero_inflated(rows).items():
            np.save(Path(folder, f"{name}.npy"), values)
        done = subprocess.run([sys.executable, "-m", "benchmarks.families", folder], capture_output=True, text=True, cwd=_REPOSITORY)
    if done.returncode:
        raise RuntimeError(f"a fit to {rows:,} rows ended with code {done.returncode}: {done.stderr.strip()[-500:]}")
    m = json.loads(done.stdout.splitlines()[-1])
    title = "zero-inflated Poisson, random intercepts in both parts, q = 2, 11 points a random effect; memory in MB"
    table = Table(title, "rows", "first fit", "warm fit", "CPU", "peak", "imports", "evaluations", "converged", label_width=_LABEL_WIDTH)
    taken, memory = (seconds(m[key]) for key in ("first", "warm", "cpu")), (f"{m[key]:.0f}" for key in ("peak", "imports"))
    table.row(f"{rows:,}", *taken, *memory, str(m["evaluations"]), str(m["converged"]))


def _zero_inflated(rows: int) -> dict[str, np.ndarray]:
    """Columns ``id``, ``x``, ``y``; random intercepts with sd 0.6 and 1."""
    rng, cluster = np.random.default_rng(4), np.repeat(np.arange(rows // _CLUSTER_SIZE), _CLUSTER_SIZE)
    x, b = rng.normal(size=len(cluster)), rng.normal(size=(2, rows // _CLUSTER_SIZE))[:, cluster]
    is_zero = rng.random(len(cluster)) < 1.0 / (1.0 + np.exp(0.7 - b[1]))
    return {"id": cluster, "x": x, "y": np.where(is_zero, 0, rng.poisson(np.exp(0.8 + 0.4 * x + 0.6 * b[0])))}


def main(folder: str) -> None:
    """Fit the columns in ``folder`` and print seconds and MB as JSON."""
    jax.block_until_ready(jnp.zeros(1))
    imports = memory_now()
    data = pd.DataFrame({path.stem: np.load(path) for path in sorted(Path(folder).glob("*.npy"))}, copy=False)

    def fit() -> Any:
        return gj.mixed_model("y ~ x", "~ 1 | id", data=data, family="zero_inflated_poisson", zi_random="~ 1 | id", n_agq=11)

    fits: list[Any] = []
    first = clock(lambda: fits.append(fit()), 1)
    peak, found = memory_peak(), fits.pop().convergence
    again = clock(fit, 1)
    taken = {"first": first.wall, "warm": again.wall, "cpu": again.cpu, "peak": peak, "imports": imports}
    print(json.dumps(taken | {"evaluations": found.n_evaluations, "converged": found.has_converged}))


if __name__ == "__main__":
    main(sys.argv[1])
