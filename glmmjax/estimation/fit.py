"""A whole fit as one pure function: traced, jitted, vmapped over data sets or starting values, and differentiated at its end."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.arguments import Flags, InstanceOf, Judged, Maybe, takes
from glmmjax.errors import ArgumentError
from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.objective import FitSettings, Integral, Problem, evaluate, fit_settings
from glmmjax.estimation.penalty import penalty_form, penalty_numbers
from glmmjax.estimation.phases import first_order
from glmmjax.estimation.starting_values import starting_values
from glmmjax.families.base import Family
from glmmjax.families.registry import resolve_family
from glmmjax.likelihood.block_sums import start_modes
from glmmjax.likelihood.clusters import Bucket, ClusterData
from glmmjax.likelihood.covariance import canonical, of_levels
from glmmjax.likelihood.gauss_hermite import check_n_agq
from glmmjax.likelihood.marginal import check_rule, in_ambient_precision
from glmmjax.likelihood.outcome_derivatives import along_moved, is_moved
from glmmjax.likelihood.params import Params, Theta, check_shapes, layout_of, predictor_sizes
from glmmjax.likelihood.prior import law_of
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.likelihood.sharding import CLUSTERS
from glmmjax.likelihood.structure import Structure
from glmmjax.options import Options, StudentTPenalty

__all__ = ["FitInfo", "fit_params", "problem_of_clusters"]

_DEFAULT_OPTIONS = Options()


class _Data(NamedTuple):
    """What estimates are differentiated in."""

    buckets: tuple[Bucket, ...]
    penalty: Array  # (3,) numbers of the penalty


class FitInfo(NamedTuple):
    """How a pure fit ended; arrays, so that a batch of fits has a batch of each.

    Attributes
    ----------
    code : () ``Code`` as an integer: ``Code(code).is_certified`` tells a certified maximum
    log_likelihood : () without the penalty
    objective : () log-likelihood with the penalty
    newton_decrement : () in log-likelihood units: what another Newton step promises
    gradient : (P,) of the objective in the free vector (beta, free vector of D, phi, gamma, delta)
    hessian : (P, P) of the objective in the same vector
    n_evaluations : () evaluations of the likelihood with derivatives
    """

    code: Array
    log_likelihood: Array
    objective: Array
    newton_decrement: Array
    gradient: Array
    hessian: Array
    n_evaluations: Array


@takes(
    clusters=CLUSTERS,
    family=Judged("the name of a family, or a family object"),
    init=Maybe(InstanceOf(Params, "a Params, such as that of a fit")),
    options=InstanceOf(Options, "a glmmjax.Options"),
    n_agq=Judged("a whole number of points"),
    covariance=Maybe(InstanceOf(Structure, "a structure, such as design.covariance")),
    penalty=Maybe(InstanceOf(StudentTPenalty, "a StudentTPenalty(mean, scale, df)")),
    is_intercept=Flags(),
)
def fit_params(
    clusters: ClusterData,
    family: str | Family,
    init: Params | None = None,
    options: Options = _DEFAULT_OPTIONS,
    *,
    n_agq: int = 11,
    covariance: Structure | None = None,
    penalty: StudentTPenalty | None = None,
    is_intercept: tuple[bool, ...] = (),
) -> tuple[Params, FitInfo]:
    """Maximum-likelihood estimates of a data set, as a pure function of its arrays.

    Parameters
    ----------
    clusters : ``design.clusters``. The fit runs in its dtype; the certificate is meant for float64.
    family : a ``Family``, or its name; static under ``jit``, as are all arguments but ``clusters`` and ``init``.
    init : starting values; found from the data when not given.
    options : ``Options``.
    n_agq : quadrature points per random effect; 1 is Laplace's method.
    covariance : the structure of D, ``design.covariance``; unstructured when not given.
    penalty : Student's t densities on the fixed effects, or None. Its mean, scale and df may be traced, and must then be what it asks for.
    is_intercept : (p,) True for the coefficient that a penalty spares.

    Returns
    -------
    params : Params
        The estimates, with a non-negative diagonal of ``chol``. Their derivatives in the leaves that ``log_likelihood`` names and in the
        numbers of ``penalty`` follow from the implicit function theorem, ``d theta = -H^-1 d(gradient)``, and are exact at a certified
        maximum. Those in ``init`` and in discrete outcomes are 0. Without a certificate there are none: NaN where the fit is traced, and
        an error where it is not. There are first derivatives alone: those of these derivatives are refused.
    info : FitInfo
        How the fit ended; no derivative is taken of it.

    Raises
    ------
    ArgumentError
        For clusters, shapes, family, penalty or ``n_agq`` that do not fit; for derivatives at an end without a certificate, and for second
        derivatives.

    Examples
    --------
    >>> import jax
    >>> data = gj.datasets.load_intro_binomial()
    >>> with jax.enable_x64(True):
    ...     design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    ...     params, info = gj.fit_params(design.clusters, "binomial")
    >>> int(info.code), f"{info.log_likelihood:.4f}"
    (0, '-374.5197')
    """
    n_agq, clusters = check_n_agq(n_agq), in_ambient_precision(clusters)
    check_rule(clusters, n_agq)
    problem = problem_of_clusters(clusters, family, penalty, covariance, is_intercept)
    layout = problem.layout
    fixed = jax.lax.stop_gradient(clusters.buckets)
    initial = None if init is None else _initial(layout, init, fixed, problem.family)
    data = _Data(clusters.buckets, penalty_numbers(penalty, clusters.buckets[0].offset.dtype))
    theta, info = jax.lax.stop_gradient(_maximise(fit_settings(problem, options), n_agq, jax.lax.stop_gradient(data), initial))
    params = layout.params(_attach_derivative(problem, n_agq, theta, info, data))
    return params._replace(chol=canonical(params.chol)), info


def problem_of_clusters(
    clusters: ClusterData,
    family: str | Family,
    penalty: StudentTPenalty | None,
    covariance: Structure | None,
    is_intercept: tuple[bool, ...],
) -> Problem:
    """What a fit of ``clusters`` maximises, from the arguments of ``fit_params``; of the penalty its form, without its numbers.

    Raises
    ------
    ArgumentError
        For arguments that do not fit.
    """
    resolved = resolve_family(family)
    if penalty is not None and not (penalty.joint or penalty.include_intercept or is_intercept):
        raise ArgumentError(
            "penalty spares the intercept, so is_intercept must say which coefficient that is: "
            "tuple(name == 'Intercept' for name in design.fixed_names). To penalise all, take StudentTPenalty(include_intercept=True)."
        )
    q, levels = sum(z.shape[1] for z in clusters.buckets[0].Z), clusters.buckets[0].levels
    if covariance is not None and covariance.q != q:
        raise ArgumentError(f"covariance is for {covariance.q} random effects, and clusters have {q}; pass design.covariance.")
    structure = of_levels(q, levels) if covariance is None else covariance
    layout = layout_of(resolved, predictor_sizes(clusters), structure)
    if is_intercept and len(is_intercept) != layout.p:
        raise ArgumentError(f"is_intercept has {len(is_intercept)} entries, and there are {layout.p} fixed effects.")
    return Problem(resolved, layout, penalty_form(penalty), is_intercept or (False,) * layout.p, law_of(levels))


def _initial(layout: Theta, init: Params, buckets: tuple[Bucket, ...], family: Family) -> Array:
    dtype = buckets[0].offset.dtype
    init = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), init)
    check_shapes(init, layout, "init", family)
    return jax.lax.stop_gradient(layout.vector(init))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _maximise(settings: FitSettings, n_agq: int, data: _Data, initial: Array | None) -> tuple[Array, FitInfo]:
    problem, buckets = settings.problem, data.buckets
    rule = Quadrature(n_agq).fixed(problem.layout.covariance.q, problem.prior)
    start = starting_values(problem, buckets)._replace(penalty=data.penalty)
    if initial is not None:
        start = start._replace(theta=initial)
    last = ascend(OneProgram(settings, Integral(buckets, rule)), first_order.begin(problem, start, buckets))
    newton, at, (n_em, n_quasi_newton, n_newton) = last.newton, last.newton.at, last.n_evaluations
    n_evaluations = n_em + n_quasi_newton + n_newton
    return newton.theta, FitInfo(last.code, at.log_likelihood, at.value, newton.decrement, at.gradient, newton.hessian, n_evaluations)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _attach_derivative(problem: Problem, n_agq: int, theta: Array, info: FitInfo, data: _Data) -> Array:
    """``theta`` itself, with the derivative in the data that the implicit function theorem gives."""
    del problem, n_agq, info, data
    return theta


@functools.partial(_attach_derivative.defjvp, symbolic_zeros=True)
def _attach_derivative_jvp(problem, n_agq, primals, tangents):
    theta, info, data = primals
    is_certified = _certified(info.code)
    # in what moves alone, because a derivative in outcomes is dearer than any other
    _, change = along_moved(lambda data: _gradient(problem, n_agq, theta, data), (data,), (tangents[2],))
    hessian = _held_in(data, info.hessian)
    return theta, jnp.where(is_certified, 1.0, jnp.nan) * jnp.linalg.solve(-hessian, change)


@jax.custom_jvp
def _held_in(data: _Data, hessian: Array) -> Array:
    """``hessian``, which moves with the data; so a derivative of what is made of it is refused."""
    del data
    return hessian


@functools.partial(_held_in.defjvp, symbolic_zeros=True)
def _held_in_jvp(primals, tangents):
    if is_moved(tangents):
        raise ArgumentError(
            "fit_params: a derivative of a derivative of the estimates was asked for, and there are first derivatives alone. "
            "Take differences of the first, such as (grad(x + h) - grad(x - h)) / (2 * h)."
        )
    return primals[1], jnp.zeros_like(primals[1])


# compiled once for eager callers too
@functools.partial(jax.jit, static_argnums=(0, 1))
def _gradient(problem: Problem, n_agq: int, theta: Array, data: _Data) -> Array:
    q = problem.layout.covariance.q
    integral = Integral(data.buckets, Quadrature(n_agq).fixed(q, problem.prior))
    return evaluate(problem, theta, integral, start_modes(data.buckets, q), data.penalty).gradient


def _certified(code: Array) -> Array:
    """() bool: whether there is a derivative; refused at once where the end of the fit is known.

    Raises
    ------
    ArgumentError
    """
    if not isinstance(code, jax.core.Tracer) and not Code(int(code)).is_certified:
        raise ArgumentError(
            f"fit_params: estimates have no derivative, because the fit has no certificate of a maximum ({Code(int(code)).name}). "
            f"{Code(int(code)).text} Under jit such a derivative is NaN."
        )
    return jnp.isin(code, jnp.array([int(one) for one in Code if one.is_certified]))
