"""Outcomes drawn from the fitted model, for the rows fitted or for new ones.

``quantile_residuals`` and ``predictive_checks`` compare them with the data.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.levels import check_one_level, crossed_of
from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program, for_many_draws
from glmmjax.fitted import FittedModel, check_rows_count_once, padding_of
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.model_rows import ModelRows, phi_of_rows, predictors_at
from glmmjax.postfit.prediction.posterior_draws import posterior_draws
from glmmjax.postfit.prediction.random_keys import key_data
from glmmjax.postfit.prediction.rows import model_rows, read_own_rows
from glmmjax.postfit.prediction.subjects import modes_of, targets_for
from glmmjax.postfit.uncertainty.parameter_draws import normal_draws
from glmmjax.postfit.uncertainty.vcov import covariance_of_functions
from glmmjax.values import check_size

__all__ = ["SOURCES", "SimulationSettings", "Simulations", "drawn_parameters", "simulate"]

_Simulations = tuple[Array, Array | None, tuple[Array, Array]]  # theta, random effects, keys of effects and of outcomes; all have n entries
SOURCES = {
    "new": "as True: drawn from N(0, D)",
    "posterior": "as False: drawn given the data",
    "mode": "the conditional modes",
    "zero": "all of them 0",
}


class Simulations(NamedTuple):
    """Simulated outcomes.

    Attributes
    ----------
    values : (n_rows, n) first outcome column as the family codes it; NaN in rows with a missing value
    labels : (n_rows,) pandas Index of the rows, in the caller's order
    """

    values: np.ndarray
    labels: Any


@dataclasses.dataclass(frozen=True)
class SimulationSettings:
    """How data sets are simulated; the fields are those of ``MixedModelResults.simulate``."""

    n: int = 1
    new_random_effects: bool | str = True
    parameter_uncertainty: bool = False
    seed: int = 0
    robust: bool | str = False

    @property
    def effects(self) -> str:
        """Source of the random effects: ``"new"``, ``"posterior"``, ``"mode"`` or ``"zero"``."""
        given = self.new_random_effects
        if isinstance(given, bool | np.bool_):
            return "new" if given else "posterior"
        return given


def simulate(fitted: FittedModel, settings: SimulationSettings, newdata: Any = None) -> Simulations:
    """Data sets from the model at its estimates; see ``MixedModelResults.simulate``, which documents settings and ``newdata``.

    Raises
    ------
    ArgumentError
        For an ``n`` beyond memory; a Custom family without ``sample``; and ``parameter_uncertainty`` where estimates have
        no covariance.
    DesignError, FormulaError, OutcomeError, RowsNotKeptError
        As ``read_new_rows`` and streamed fits raise them.
    """
    check_rows_count_once(fitted, "simulate")
    kind, n, wide = settings.effects, settings.n, padding_of(fitted)
    _check_size(n, fitted.problem.layout.size)
    with jax.enable_x64(True):
        is_drawn = settings.parameter_uncertainty
        thetas = drawn_parameters(fitted, n, settings.seed, settings.robust) if is_drawn else np.tile(fitted.theta, (n, 1))
        keys = key_data(settings.seed, (0,), np.arange(n)), key_data(settings.seed, (1,), np.arange(n))
        rows, codes, effects = _rows_and_effects(fitted, kind, newdata, thetas if is_drawn else thetas[:1], settings)
        n_clusters = int(codes.max(initial=-1)) + 1 if effects is None else effects.shape[-1]
        simulations = (wide.vector(thetas), effects, keys)
        drawn = _outcomes(wide.problem, n_clusters, simulations, wide.rows(model_rows(rows)), _template(fitted, rows), codes)
        values = np.full((len(rows.is_complete), n), np.nan)
        values[rows.is_complete] = np.asarray(drawn).T
    return Simulations(values, rows.labels)


def drawn_parameters(fitted: FittedModel, n: int, seed: int, robust: bool | str = False) -> np.ndarray:
    """(n, P) draws from the normal distribution around the estimates with their covariance.

    At a singular D, theta stays fixed in the directions that do not move D, because these have no variance.

    Raises
    ------
    ArgumentError
        Where an estimate has no variance to draw with.
    """
    v = covariance_of_functions(fitted, robust)
    unknown = np.flatnonzero(np.isnan(np.diagonal(v)))
    if len(unknown):
        raise ArgumentError(
            f"parameter_uncertainty=True: {len(unknown)} of the {len(v)} parameters have no variance, because the fit carries no "
            "certificate of a maximum; see fit.convergence, or simulate with parameter_uncertainty=False."
        )
    return fitted.theta + normal_draws(v, n, np.random.default_rng([seed, 2]))


def _rows_and_effects(
    fitted: FittedModel, kind: str, newdata: Any, thetas: np.ndarray, settings: SimulationSettings
) -> tuple[NewRows, np.ndarray, Any]:
    """Rows to simulate, the cluster of each (n_rows,) or of each of its effects (q, n_rows), and random effects (n, q, m) in coordinates
    u; None for new ones.

    ``thetas`` is (n, P), or (1, P) where all simulations have the same parameters.
    """
    n, q = settings.n, fitted.params.chol.shape[0]
    if newdata is None:
        rows = read_own_rows(fitted)
    else:
        has_columns = len(fitted.design.formula.outcome_columns) > 1
        rows = read_new_rows(fitted.design, newdata, with_outcome=has_columns, with_groups=True)
    _check_size(n, len(rows.is_complete))
    if q == 0 or kind in ("new", "zero"):
        codes = np.arange(int(rows.is_complete.sum())) if rows.groups is None else rows.groups.codes
        if rows.lower is not None:  # the number of the cluster that each effect of each row belongs to
            n_upper = fitted.design.n_upper
            codes = np.concatenate([np.tile(codes, (n_upper, 1)), np.tile(rows.lower.codes, (q - n_upper, 1))])
        if rows.factors:
            places = crossed_of(fitted.design).n_effects
            codes = np.concatenate([np.tile(own, (k, 1)) for own, k in zip(rows.factors, places, strict=True)])
        is_new = q > 0 and kind == "new"
        return rows, codes, None if is_new else np.zeros((n, q, int(codes.max(initial=-1)) + 1))
    targets = targets_for(fitted, newdata)
    numbers = np.zeros(len(rows.is_complete), int)
    numbers[targets.rows.is_complete] = targets.codes
    codes = numbers[rows.is_complete]
    if kind == "mode":
        return rows, codes, np.broadcast_to(modes_of(fitted, targets).T, (n, q, len(targets.labels)))
    check_one_level(fitted.design, "new_random_effects='posterior'")
    found = [_posterior_draws(fitted, source.clusters, thetas, settings, k) for k, source in enumerate(targets.sources)]
    starts = np.cumsum([0, *(draws.shape[-1] for draws in found)])
    joined = np.concatenate(found, axis=-1)
    return rows, codes, joined.reshape(n, *joined.shape[2:])[..., starts[targets.source_of] + targets.number_of]


def _check_size(n: int, size: int) -> None:
    check_size(f"n={n:,} data sets", (n, size), "simulate fewer at a time, each with its own seed")


def _posterior_draws(fitted: FittedModel, clusters: ClusterData, thetas: np.ndarray, settings: SimulationSettings, k: int) -> np.ndarray:
    """(T, r, q, m) draws for the clusters of the k-th source. The buckets of a stream raise an error."""
    _ = clusters.buckets
    keys = key_data(settings.seed, (0,), np.arange(settings.n), (k,))
    wide = padding_of(fitted)
    keys = keys.reshape(len(thetas), -1, keys.shape[-1])
    return np.asarray(posterior_draws(wide.problem, wide.vector(thetas), keys, wide.clusters(clusters)))


def _template(fitted: FittedModel, rows: NewRows) -> Any:
    """The outcome, as the family takes it, that gives draws their shape and, for a proportion, the trials."""
    columns = rows.outcome or (np.ones(int(rows.is_complete.sum())),) * len(fitted.design.formula.outcome_columns)
    return columns if len(columns) > 1 else columns[0]


@as_program((0, 1), compiler_options=for_many_draws)
def _outcomes(problem: Problem, m: int, simulations: _Simulations, rows: ModelRows, y: Any, codes: Array) -> Array:
    """(n, n_rows) first outcome column of every simulation."""
    q = problem.layout.covariance.q

    def one(at: _Simulations) -> Array:
        theta, u, (for_effects, for_outcome) = at[0], at[1], map(jax.random.wrap_key_data, at[2])
        params = problem.layout.params(theta)
        u = problem.prior.sample(for_effects, (q, m), theta.dtype) if u is None else u
        eta = predictors_at(params, rows, u[:, codes] if codes.ndim == 1 else jnp.take_along_axis(u, codes, axis=1))
        drawn = problem.family.sample(for_outcome, y, eta[0], phi_of_rows(params, eta.shape[-1]), *eta[1:])
        return drawn[0] if isinstance(drawn, tuple) else drawn

    return jax.lax.map(one, simulations)
