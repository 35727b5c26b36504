"""``mixed_model``: check the arguments, build the design, maximise, and wrap the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from glmmjax.arguments import takes
from glmmjax.design import BlockFiles, Design, build_design, caller_namespace, streamed_design
from glmmjax.devices import on_device, placement, portable
from glmmjax.errors import ConvergenceWarning, warn_caller
from glmmjax.estimation.family_limits import away_from_limits
from glmmjax.estimation.judgement import Judgement, is_settled
from glmmjax.estimation.maximise import maximise, maximise_streamed
from glmmjax.estimation.separation import by_one_column
from glmmjax.estimation.xla.interrupts import keep_interrupts
from glmmjax.families import Family
from glmmjax.fitted import FittedModel, fitted_model, has_same_parameters, problem_of
from glmmjax.initial_values import initial_theta
from glmmjax.likelihood.clusters import padded_rows
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.prior import Prior
from glmmjax.options import Options, StudentTPenalty
from glmmjax.postfit.inference.separation import explained
from glmmjax.progress import Watch
from glmmjax.request import FIT, FitRequest, updated
from glmmjax.results import MixedModelResults

__all__ = ["fit_of", "fitted_of", "maximised", "mixed_model", "refit"]

_DEFAULTS = Options()


@takes(**FIT)
def mixed_model(
    fixed: str,
    random: str | None = None,
    *,
    data: Any,
    family: str | Family,
    weights: Any = None,
    row_weights: Any = None,
    offset: Any = None,
    zi_fixed: str | None = None,
    zi_random: str | None = None,
    zi_offset: Any = None,
    dispersion: str | None = None,
    covariance: str | None = None,
    random_effects_law: Prior | None = None,
    penalized: bool | StudentTPenalty = False,
    n_agq: int | str | None = None,
    correction: str | None = None,
    initial_values: Params | Mapping[str, Any] | None = None,
    options: Options = _DEFAULTS,
    devices: Any = None,
    progress: Any = False,
) -> MixedModelResults:
    """Fit a generalized linear mixed model by maximum likelihood with adaptive Gauss-Hermite quadrature.

    Parameters
    ----------
    fixed : outcome and fixed effects, ``"y ~ sex * time"``; random effects may stand in it as ``+ (time | id)``. Two outcome
        columns are ``cbind(successes, failures)``; ``offset(np.log(t))`` may be among the terms.
    random : random effects and cluster variable, ``"~ time | id"``, or ``"~ time || id"`` for independent ones. Two levels, one nested in
        the other, are ``"~ 1 | school/class"``; crossed factors are ``"(1 | item) + (1 | person)"``. None when the formula has them, else
        the model has none.
    data : DataFrame of pandas, polars, pyarrow or another library that narwhals knows, or a dict of columns, or ``glmmjax.stream(...)`` for
        data larger than memory. Rows with a missing value in a used column are dropped and counted.
    family : ``"binomial"``, ``"poisson"``, or a family object such as ``glmmjax.families.Binomial(link="probit")``.
    weights : one for each cluster; see ``make_design``.
    row_weights : how often each row was seen: a column name, or one number >= 0 for each row of ``data``. A row of weight 2 is the same as
        two such rows in its cluster. Methods that would have to draw or permute rows refuse such a fit.
    offset : column name, or one number for each row of ``data``.
    zi_fixed, zi_random : fixed and random effects of the zero part of a zero-inflated or hurdle family, on the logit of the probability
        of a zero: ``"~ sex"`` (by default an intercept) and ``"~ 1 | id"``, correlated with those of ``random`` unless one of them
        has ``||``.
    zi_offset : as ``offset``, for the zero part.
    dispersion : fixed effects on the extra parameter of a family that has one, on its free scale: with ``"~ sex"`` its logarithm
        differs between the sexes.
    covariance : structure of D for one set of random effects: ``"unstructured"`` (default), ``"diagonal"`` (as ``||``),
        ``"compound_symmetry"`` (one variance, one correlation), ``"ar1"`` (one variance, correlation ``r^|i - j|`` in the order of the
        columns: ``random="~ 0 + C(visit) | id"`` has one effect a visit).
    random_effects_law : law of the random effects; None for N(0, D). ``StudentTEffects(df=4)`` has tails heavier than normal ones, for one
        or two random effects of one grouping factor; ``SkewNormalEffects``, ``NormalMixtureEffects`` and ``CustomEffects`` are for one. D
        is the covariance matrix under every law.
    penalized : True for Student's t penalties (mean 0, scale 1, 3 degrees of freedom) on all fixed effects but the intercept,
        or a ``StudentTPenalty``.
    n_agq : quadrature points per random effect, 1 is Laplace's method; exactly this rule is used. None (or ``"auto"``) begins with 11 for
        one or two random effects, 7 for three, 5, 3 and 1 for four, five and more, and takes finer rules until the log-likelihood moves by
        less than ``options.quadrature_tolerance`` and no estimate by more than .02 standard errors. Crossed factors take 1, and laws under
        which posteriors can have several peaks 15 or more.
    correction : for crossed factors ``"importance"``, which maximises the log-likelihood by importance sampling, with ``options.n_draws``
        draws; None (default) maximises that by Laplace's method. ``fit.convergence.laplace_error`` is the error of the latter.
    initial_values : a ``Params``, or a dict of ``beta`` (p,) and ``D`` (q, q), with ``phi`` (free scale) and ``gamma`` where the
        model has them; found from the data when not given.
    options : ``Options``.
    devices : where the fit runs. None is JAX's default device, or the CPU where that is an accelerator and rows x quadrature nodes are
        below ten million (``fit.convergence.device`` tells); ``"cpu"``, ``"gpu"``, ``"tpu"``, ``"gpu:1"`` is one device. A number of
        devices, several ``jax.Device`` in a sequence, or those of a ``jax.sharding.Mesh`` share the clusters and give the same
        estimates; where they belong to several processes (``jax.distributed.initialize``), each process makes the same call with
        all data.
    progress : True shows one updating line (programs that are compiled, then steps), a function is called with a record of every step. The
        logger ``glmmjax`` of ``logging`` says the same at level INFO (programs) and DEBUG (steps).

    Returns
    -------
    MixedModelResults
        The fit, whose methods answer everything that can be asked of it.

    Raises
    ------
    ArgumentError, FormulaError, OutcomeError, DesignError
        For an argument, formula, outcome or data that give no model; each text says what to try.

    Warns
    -----
    ConvergenceWarning
        When the fit carries no certificate of a maximum, or no rule has settled without ``n_agq``. A singular fit is neither.
    DesignWarning
        When no cluster has two rows, or there is one cluster only.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> f"{fit.llf:.4f}"
    '-374.5197'
    >>> fit.fe_params.round(2).to_dict()
    {'Intercept': -2.62, 'sex[T.female]': -1.32, 'time': 0.29, 'sex[T.female]:time': 0.04}
    """
    request = FitRequest(
        fixed=fixed, random=random, data=data, family=family, weights=weights, row_weights=row_weights, offset=offset,
        zi_fixed=zi_fixed, zi_random=zi_random,
        zi_offset=zi_offset, dispersion=dispersion, covariance=covariance, random_effects_law=random_effects_law,
        penalized=penalized, n_agq=n_agq, correction=correction, initial_values=initial_values, options=options,
        devices=devices, progress=progress,
    )  # fmt: skip
    return fit_of(request, caller_namespace())


def refit(fitted: FittedModel, changes: Mapping[str, Any]) -> MixedModelResults:
    """``MixedModelResults.update``. Names in the formulas have the meaning that they have for its caller."""
    return fit_of(updated(fitted.request, changes), caller_namespace(1), fitted)


def fit_of(request: FitRequest, env: Mapping[str, Any], previous: FittedModel | None = None) -> MixedModelResults:
    """``fitted_of``, with a warning where the fit is not to be trusted."""
    fitted = fitted_of(request, env, previous)
    _warn(fitted)
    return MixedModelResults(fitted, refit)


def fitted_of(request: FitRequest, env: Mapping[str, Any], previous: FittedModel | None = None) -> FittedModel:
    """Check, build the design, maximise; the blocks of a stream are on disk in between. ``env`` gives names in the formulas their meaning.

    Raises
    ------
    ArgumentError, FormulaError, OutcomeError, DesignError
        As ``mixed_model``.
    """
    request.check()
    with keep_interrupts(), jax.enable_x64(True):
        if request.is_streamed:
            with streamed_design(request, env, request.options) as (design, blocks):
                fitted = maximised(design, request, previous, blocks)
        else:
            fitted = maximised(build_design(request, env, request.options), request, previous)
    return fitted


def maximised(design: Design, request: FitRequest, previous: FittedModel | None, blocks: BlockFiles | None = None) -> FittedModel:
    """Maximise, from the estimates of ``previous`` when its parameters have the same names; ``blocks`` hold the rows of a stream."""
    problem = problem_of(design, request.penalty, request.random_effects_law)
    initial = initial_theta(request.initial_values, problem.layout)
    if initial is None and previous is not None and has_same_parameters(previous, design, problem):
        initial = away_from_limits(problem, previous.theta, previous.convergence.limits)
    q = design.covariance.q
    # where a pass over the rows shows that there is no maximum, no finer rule is asked for one
    is_separated = blocks is None and problem.penalty is None and by_one_column(problem.family, design.clusters.buckets) is not None
    rule = request.rule_for(design.factors)
    quadrature, is_exact = rule.quadrature(q, design.n_upper, request.random_effects_law), rule.is_exact or is_separated
    place = placement(request.mesh, None if blocks is not None else quadrature.n_points**q * padded_rows(design.clusters.buckets))
    if place.device is not None:
        design = dataclasses.replace(design, rows=jax.device_put(design.rows, place.device))
    with Watch(request.progress) as watch, on_device(place.device):
        by: Any = {"quadrature": quadrature, "is_exact": is_exact}
        if blocks is None:
            run: Any = {"monitor": watch.report, "every_step": watch.is_shown, "mesh": place.mesh}
            run["is_corrected"] = request.correction is not None
            maximum = maximise(problem, request.options, design.clusters.buckets, initial=initial, **by, **run)
        else:
            maximum = maximise_streamed(problem, request.options, blocks, initial=initial, **by, monitor=watch.report)
    maximum = maximum._replace(convergence=dataclasses.replace(maximum.convergence, device=place.text))
    request = dataclasses.replace(request, devices=portable(request.devices))  # a fit can be pickled
    return explained(fitted_model(request, design, problem, maximum), is_separated)


def _warn(fitted: FittedModel) -> None:
    found = fitted.convergence
    if not found.has_converged:
        text = (
            f"{found.message} (Newton decrement {found.newton_decrement:.2g}, log-likelihood {fitted.log_likelihood:.4f}, "
            f"quadrature error {found.quadrature_error:.2g})"
        )
        warn_caller(text, ConvergenceWarning)
    elif not fitted.rule.is_exact and not is_settled(Judgement(found.quadrature_error, found.largest_shift), fitted.options):
        text = (
            f"No rule has settled: with {fitted.n_agq} points the log-likelihood still moves by {found.quadrature_error:.2g}, and an "
            f"estimate by {found.largest_shift:.2g} standard errors, when {found.finer_n_agq} are taken. "
            f"Try options=Options(max_agq={2 * fitted.options.max_agq + 1}), or fewer random effects."
        )
        warn_caller(text, ConvergenceWarning)
