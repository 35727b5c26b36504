"""Many different models in one process, each with its summary, robust errors and marginal coefficients: maps and memory stay flat.

A process ends without a word at the limit of its memory maps. What the session may use is lowered here, so that a short session meets it.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd

from benchmarks.table import Table

__all__ = ["print_long_session"]

_REPOSITORY = Path(__file__).parents[1]
_COLUMNS = 10
_FAMILIES = ("binomial", "poisson", "negative_binomial", "gamma", "gaussian")
_RANDOM = ("~ 1 | id", "~ x0 | id")
_CLUSTERS = (50, 150, 400)
_VISITS = 6
_MAPS = 10_000  # that the session may use, in the place of Linux's 65,530
_EVERY = 5  # models a line


class Model(NamedTuple):
    """One model of the session.

    Attributes
    ----------
    family
    n_columns : covariates
    random : formula of the random effects
    n_clusters
    """

    family: str
    n_columns: int
    random: str
    n_clusters: int


def print_long_session(n_models: int) -> None:
    """Run ``main`` in a process that has compiled nothing yet."""
    subprocess.run([sys.executable, "-m", "benchmarks.long_session", str(n_models)], check=True, cwd=_REPOSITORY)


def main() -> None:
    """A line for every few models: what the process uses after them, how many executables it holds, and the seconds they took."""
    from glmmjax.estimation.xla import kept

    n_models = int(sys.argv[1])
    title = f"{n_models} different models, summary, CR2 and marginal coefficients of each; at most {_MAPS:,} maps"
    table = Table(title, "models", "maps", "MB", "executables", "CPU s")
    most, allowed = 0.0, kept.limits()._replace(maps=_MAPS)
    with mock.patch.object(kept, "limits", return_value=allowed):
        for n, model in enumerate(_models(n_models), 1):
            _session(model)
            used = kept.use()
            most = max(most, used.maps)
            if n % _EVERY == 0 or n == n_models:
                cells = f"{used.maps:,.0f}", f"{used.memory / 1e6:,.0f}", str(kept.n_kept()), f"{time.process_time():.0f}"
                table.row(str(n), *cells)
    print(f"  most maps after a model: {most:,.0f}", flush=True)


def _models(n: int) -> Iterator[Model]:
    """``n`` models in an order in which each part of it has all kinds."""
    found = [Model(*parts) for parts in itertools.product(_FAMILIES, range(1, _COLUMNS + 1), _RANDOM, _CLUSTERS)]
    order = np.random.default_rng(1).permutation(len(found))
    return (found[k] for k in order[:n])


def _session(model: Model) -> None:
    """What an analyst asks of one model."""
    import glmmjax as gj

    formula = "y ~ " + " + ".join(f"x{k}" for k in range(model.n_columns))
    fit = gj.mixed_model(formula, random=model.random, data=_data(model), family=model.family, n_agq=5)
    str(fit.summary())
    fit.cov_params(robust="CR2")
    fit.marginal_coefs().summary()


def _data(model: Model) -> pd.DataFrame:
    rng, n = np.random.default_rng(2), model.n_clusters * _VISITS
    columns = {f"x{k}": rng.normal(size=n) for k in range(_COLUMNS)}
    cluster = np.repeat(np.arange(model.n_clusters), _VISITS)
    eta = 0.3 * columns["x0"] + rng.normal(scale=0.7, size=model.n_clusters)[cluster]
    return pd.DataFrame({**columns, "id": cluster, "y": _OUTCOMES[model.family](rng, eta)})


_OUTCOMES: dict[str, Callable[[np.random.Generator, np.ndarray], Any]] = {
    "binomial": lambda rng, eta: rng.binomial(1, 1 / (1 + np.exp(-eta))),
    "poisson": lambda rng, eta: rng.poisson(np.exp(eta)),
    "negative_binomial": lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, eta.size)),
    "gamma": lambda rng, eta: rng.gamma(2.0, np.exp(eta) / 2.0),
    "gaussian": lambda rng, eta: rng.normal(eta),
}


if __name__ == "__main__":
    main()
