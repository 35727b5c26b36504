"""Settings as frozen, hashable records: the only place for a numerical default of fitting."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from glmmjax.errors import ArgumentError
from glmmjax.values import shown

__all__ = ["Options", "StudentTPenalty", "compiled_options", "default_n_agq"]

_OPTIMIZERS = ("bfgs", "lbfgs")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a fit is computed.

    Attributes
    ----------
    n_em : largest number of EM steps before quasi-Newton.
    em_gain : EM gives way to quasi-Newton once a step gains less than this, in log-likelihood units a cluster.
    optimizer : ``"bfgs"``, or ``"lbfgs"`` for optax's limited-memory update in its place; both end with the same certificate, whose
        Hessian takes most of the time of a fit with many fixed effects, so that neither is faster. ``fit_many`` takes the first always.
    n_quasi_newton : largest number of quasi-Newton evaluations.
    quasi_newton_gain : quasi-Newton gives way to Newton once a step promises less than this, in log-likelihood units.
    n_newton : largest number of evaluations of the exact Hessian.
    certificate : a fit is converged when its Newton decrement, in log-likelihood units, is below this.
    max_block_rows : rows of one block, the unit that stays in cache and bounds memory.
    quadrature_tolerance : a fit without ``n_agq`` takes finer rules until the log-likelihood moves by less.
    quadrature_limit : a fit is not converged when a finer rule moves its log-likelihood by this or more.
    max_agq : the largest number of points per dimension that a fit without ``n_agq`` tries.
    n_draws : draws of ``correction="importance"``, an even number; half of them are the mirror images of the others.
    seed : of these draws, and of those that tell the error of Laplace's method for crossed factors.

    Raises
    ------
    ArgumentError
        For a number outside its range.

    Examples
    --------
    >>> options = gj.Options(max_agq=51, n_newton=50)  # for mixed_model(..., options=options)
    >>> options == gj.Options(n_newton=50, max_agq=51)
    True
    """

    n_em: int = 30
    em_gain: float = 0.1
    optimizer: str = "bfgs"
    n_quasi_newton: int = 200
    quasi_newton_gain: float = 1e-8
    n_newton: int = 30
    certificate: float = 1e-6
    max_block_rows: int = 2048
    quadrature_tolerance: float = 1e-4
    quadrature_limit: float = 0.01
    max_agq: int = 101
    n_draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_em": 0, "n_quasi_newton": 0, "n_newton": 0, "max_block_rows": 1, "max_agq": 1, "n_draws": 2, "seed": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < smallest:
                raise ArgumentError(f"Options({name}={shown(value)}) must be a whole number >= {smallest}.")
        if not isinstance(self.optimizer, str) or self.optimizer not in _OPTIMIZERS:
            raise ArgumentError(f"Options(optimizer={shown(self.optimizer)}) must be one of {', '.join(map(repr, _OPTIMIZERS))}.")
        if self.n_draws % 2:
            raise ArgumentError(f"Options(n_draws={self.n_draws}) must be an even number: half of the draws mirror the others.")
        for name in ("em_gain", "quasi_newton_gain", "certificate", "quadrature_tolerance", "quadrature_limit"):
            _check_positive("Options", name, getattr(self, name))


@dataclasses.dataclass(frozen=True)
class StudentTPenalty:
    """Student's t log density on fixed effects, added to the log-likelihood that is maximised.

    Attributes
    ----------
    mean : centre of the t distribution of every penalised coefficient, on the scale of the coefficient.
    scale : its scale, > 0, in the same units.
    df : its degrees of freedom, > 0. Each of the three is a number, or in ``fit_params`` a traced array of shape (), which is not checked.
    include_intercept : also penalise the intercept.
    joint : take the kernel of one multivariate t over ALL coefficients, intercept included and without its constant,
        ``-(df + p)/2 log(1 + sum(((beta - mean)/scale)^2)/df)``: what GLMMadaptive's ``penalized = TRUE`` adds.

    Raises
    ------
    ArgumentError
        For a scale or degrees of freedom that are not positive, and a mean that is not finite.

    Examples
    --------
    >>> gj.StudentTPenalty(scale=2.5)  # for mixed_model(..., penalized=gj.StudentTPenalty(scale=2.5))
    StudentTPenalty(mean=0.0, scale=2.5, df=3.0, include_intercept=False, joint=False)
    """

    mean: Any = 0.0
    scale: Any = 1.0
    df: Any = 3.0
    include_intercept: bool = False
    joint: bool = False

    def __post_init__(self) -> None:
        for name in ("mean", "scale", "df"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        for name in ("scale", "df"):
            if not _is_traced(getattr(self, name)):
                _check_positive("StudentTPenalty", name, getattr(self, name))
        mean = self.mean
        if not _is_traced(mean) and not (isinstance(mean, float | int) and abs(mean) <= sys.float_info.max):
            raise ArgumentError(f"StudentTPenalty(mean={shown(self.mean)}) must be a finite number.")

    @property
    def is_traced(self) -> bool:
        """Whether one of its numbers is traced, so that it is known when a program runs and not before."""
        return any(map(_is_traced, (self.mean, self.scale, self.df)))


def _plain(value: Any) -> Any:
    """The number in an array of shape (); anything else, a traced array too, as it is."""
    if isinstance(value, float | int) or not _is_array_of_one_number(value):
        return value
    try:
        return float(value)
    except TypeError:  # what JAX raises for a traced array
        return value


def _is_traced(value: Any) -> bool:
    return not isinstance(value, float | int) and _is_array_of_one_number(value)


def _is_array_of_one_number(value: Any) -> bool:
    return getattr(value, "shape", None) == () and getattr(getattr(value, "dtype", None), "kind", "") in "fiu"


def _check_positive(owner: str, name: str, value: object) -> None:
    if not isinstance(value, float | int) or not 0 < value <= sys.float_info.max:
        raise ArgumentError(f"{owner}({name}={shown(value)}) must be a finite number > 0.")


def compiled_options(options: Options) -> Options:
    """``options`` with those at their defaults that no compiled program reads, so that a change of them compiles nothing."""
    unread, defaults = ("max_block_rows", "quadrature_tolerance", "quadrature_limit", "max_agq", "n_draws", "seed"), Options()
    return dataclasses.replace(options, **{name: getattr(defaults, name) for name in unread})


def default_n_agq(q: int) -> int:
    """Quadrature points per dimension when none are asked for, by the number of random effects."""
    return {0: 11, 1: 11, 2: 11, 3: 7, 4: 5, 5: 3}.get(q, 1)
