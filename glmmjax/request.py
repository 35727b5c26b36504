"""``FitRequest``: the arguments of ``mixed_model``, checked and resolved once. The layers below take it or a part of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from jax.sharding import Mesh

from glmmjax.arguments import InstanceOf, Judged, Kind, Maybe, OneOf, check_arguments
from glmmjax.design import MODEL, ModelArguments, Stream
from glmmjax.design.formula.spellings import of_update
from glmmjax.design.formula.tokens import split_at
from glmmjax.devices import resolve_devices
from glmmjax.errors import ArgumentError, FormulaError
from glmmjax.estimation.penalty import known_penalty
from glmmjax.estimation.xla.forks import refuse_fork
from glmmjax.initial_values import named_values
from glmmjax.likelihood.gauss_hermite import check_n_agq
from glmmjax.likelihood.laws import LAWS
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.quadrature import Quadrature, first_method
from glmmjax.options import Options, StudentTPenalty, default_n_agq
from glmmjax.progress import Watch
from glmmjax.values import shown

__all__ = ["FIT", "FitRequest", "RuleRequest", "updated"]

FIT: dict[str, Kind] = {
    **MODEL,
    "random_effects_law": Maybe(InstanceOf(tuple(LAWS.values()), "a law of the random effects, such as StudentTEffects(df=4)"), "normal"),
    "penalized": Judged("True, False, or a StudentTPenalty(mean, scale, df)"),
    "n_agq": Judged("None, or a whole number of points"),
    "correction": Maybe(OneOf("importance")),
    "initial_values": Judged("None, a Params, or a dict of them by name"),
    "options": Judged("a glmmjax.Options, such as Options(n_newton=30)"),
    "devices": Judged("None, the name or number of devices, or a list of them"),
    "progress": Judged("True, False, or a function of a record"),
}
_WIDE_POINTS, _LEAST_WIDE_POINTS = 63, 15  # of a rule that goes over the whole law: the first, and the fewest
_MOST_NODES = 200_000  # largest size of a rule; each node is evaluated for every row


@dataclasses.dataclass(frozen=True)
class RuleRequest:
    """The quadrature rule that was asked for.

    Attributes
    ----------
    n_points : per random effect; None: begin with a number that the number of random effects decides, and refine until the rule settles
    """

    n_points: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether exactly this rule was asked for."""
        return self.n_points is not None

    def quadrature(self, q: int, n_upper: int = 0, law: Prior | None = None) -> Quadrature:
        """The rule to begin with, for ``q`` random effects, ``n_upper`` of them of the upper of two levels; ``law`` None is the normal one.

        Raises
        ------
        ArgumentError
            When they make too many nodes, or too few for the law.
        """
        if law is not None and law.peaks:
            return self._over_all_of(law)
        n_agq = default_n_agq(max(n_upper, q - n_upper)) if self.n_points is None else self.n_points
        if n_agq**q > _MOST_NODES:
            raise ArgumentError(
                f"n_agq={n_agq} with {q} random effects makes {n_agq**q:,} quadrature nodes, each evaluated for every row; at most "
                f"{_MOST_NODES:,} are allowed. Take fewer points (n_agq=1 is Laplace's method) or fewer random effects."
            )
        return Quadrature(n_agq)

    def _over_all_of(self, law: Prior) -> Quadrature:
        n_agq = _WIDE_POINTS if self.n_points is None else self.n_points
        if n_agq < _LEAST_WIDE_POINTS:
            raise ArgumentError(
                f"n_agq={n_agq} is too few for the law {law.text}, whose posteriors can have several peaks: a rule goes over all of it. "
                f"Take {_LEAST_WIDE_POINTS} points or more, or leave n_agq out."
            )
        return Quadrature(n_agq, first_method(law))


@dataclasses.dataclass(frozen=True, eq=False)
class FitRequest(ModelArguments):
    """The arguments of ``mixed_model`` as they were given, in its order, and what they mean.

    The model is that of ``ModelArguments``; how it is fitted is ``penalty``, ``rule``, ``initial_values`` and ``options``; ``devices`` and
    ``progress`` concern the run alone.
    """

    random_effects_law: Prior | None = None
    penalized: bool | StudentTPenalty = False
    n_agq: int | str | None = None
    correction: str | None = None
    initial_values: Params | Mapping[str, Any] | None = None
    options: Options = dataclasses.field(default_factory=Options)
    devices: Any = None
    progress: Any = False

    @property
    def is_streamed(self) -> bool:
        """Whether the data are a stream."""
        return isinstance(self.data, Stream)

    @functools.cached_property
    def penalty(self) -> StudentTPenalty | None:
        """The penalty on the fixed effects, None for none."""
        if not isinstance(self.penalized, bool | StudentTPenalty):
            raise ArgumentError(f"penalized={shown(self.penalized)} must be {FIT['penalized'].allowed}.")
        if isinstance(self.penalized, StudentTPenalty):
            return known_penalty("penalized", self.penalized)
        return StudentTPenalty() if self.penalized else None

    @functools.cached_property
    def rule(self) -> RuleRequest:
        """The quadrature rule."""
        if self.n_agq is None or (isinstance(self.n_agq, str) and self.n_agq == "auto"):
            return RuleRequest()
        return RuleRequest(check_n_agq(self.n_agq))

    def rule_for(self, factors: tuple[Any, ...]) -> RuleRequest:
        """The rule for a design with these crossed factors, which have Laplace's method alone.

        Raises
        ------
        ArgumentError
            For another number of points, and for several devices.
        """
        if not factors:
            if self.correction is not None:
                raise ArgumentError(
                    f"correction={shown(self.correction)} is for crossed factors, which take Laplace's method. This model has one grouping "
                    "factor or nested ones, and quadrature; leave correction out."
                )
            return self.rule
        if self.rule.n_points not in (None, 1):
            raise ArgumentError(
                f"n_agq={shown(self.n_agq)} is for one grouping factor, or two nested ones. Crossed factors take Laplace's method, "
                "n_agq=1, whose error is in fit.convergence.laplace_error; correction='importance' takes it out."
            )
        if self.mesh is not None:
            raise ArgumentError(f"devices={shown(self.devices)} share clusters, and crossed factors make none; leave devices out.")
        return RuleRequest(1)

    @functools.cached_property
    def mesh(self) -> Mesh | None:
        """The devices that were asked for, None where the size of the data decides."""
        if self.is_streamed and self.devices is not None:
            raise ArgumentError(f"devices={shown(self.devices)} is for data in memory; a stream is fitted on JAX's default device.")
        return resolve_devices(self.devices)

    def check(self) -> None:
        """Refuse arguments that are wrong whatever the rows, in the order of ``mixed_model``'s signature.

        Raises
        ------
        ArgumentError, FormulaError
            Naming the argument, what it may be, and what to try.
        ProcessError
            In a process that was forked after a fit.
        """
        refuse_fork()
        # each of these properties checks what it is made from
        _ = self.formula, self.penalty, self.rule
        named_values(self.initial_values)
        if not isinstance(self.options, Options):
            raise ArgumentError(f"options={shown(self.options)} must be {FIT['options'].allowed}.")
        _ = self.mesh
        Watch(self.progress)


def updated(request: FitRequest, changes: Mapping[str, Any]) -> FitRequest:
    """``request`` with other arguments. Initial values do not pass from one model to another.

    Raises
    ------
    ArgumentError
        For a name that is no argument of ``mixed_model``.
    FormulaError
        For fixed effects, written with a dot, that would leave out the random effects of the formula.
    """
    names = [field.name for field in dataclasses.fields(FitRequest)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        raise ArgumentError(f"update({unknown[0]}=...) is no keyword of mixed_model; choose among {', '.join(names)}.")
    check_arguments(FIT, changes)
    if isinstance(changes.get("fixed"), str):
        fixed = of_update(request.fixed, changes["fixed"])
        if fixed != changes["fixed"] and changes.get("random", request.random) is None:
            _keep_bars(request.fixed, changes["fixed"], fixed)
        changes = {**changes, "fixed": fixed}
    return dataclasses.replace(request, **{"initial_values": None, **changes})


def _keep_bars(old: str, asked: str, new: str) -> None:
    """Refuse a change of fixed effects that takes the random effects out of the formula with them.

    Raises
    ------
    FormulaError
    """
    bars = [] if "|" in new else [term for term in split_at(old.partition("~")[2], "+") if "|" in term and term.strip().startswith("(")]
    if bars:
        raise FormulaError(
            f"update(fixed={asked!r}) leaves out the random effects, which stand in the formula {old!r}; write "
            f"fixed='{asked} + {' + '.join(bars)}', or {new!r} for a model without random effects."
        )
