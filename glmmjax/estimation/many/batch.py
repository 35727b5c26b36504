"""Many fits of one kind, stepped together in chunks.

A chunk takes as long as its slowest fit. So it makes a few steps only; then the fits that are done leave, and those that are not wait for
other fits at the same stage, with which they fill the next chunk. A fit that has converged costs nothing, and one without hope delays
nobody but itself. XLA runs one program on one core where arrays are this small: each core has a chunk of its own.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.cores import n_cores
from glmmjax.estimation.judgement import are_confirmed, are_settled, newton_steps
from glmmjax.estimation.many.ends import Ends, is_accepted, is_certified, is_usual
from glmmjax.estimation.many.in_flight import InFlight, Rows, Stage
from glmmjax.estimation.many.programs import BatchChunk, BatchKind, Steps, batch_programs
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.second_starts import has_rivals, with_full_rank
from glmmjax.estimation.sequence import FIRST_ORDER, NEWTON
from glmmjax.estimation.settling import SAME, next_rule
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.programs import Given
from glmmjax.estimation.xla.workers import Workers
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options

__all__ = ["Batch", "RuleOfBatch"]

_CHUNKS_IN_FLIGHT = 4  # for each core; what waits has to fill chunks at every stage


class RuleOfBatch(NamedTuple):
    """The rule of all fits.

    Attributes
    ----------
    quadrature : the rule
    is_exact : whether exactly this rule was asked for, so that one that has not settled is no reason to go on
    """

    quadrature: Quadrature
    is_exact: bool


class _Judged(NamedTuple):
    """What a finer rule says where k ascents have ended.

    Attributes
    ----------
    log_likelihood : (k,) NaN without a value
    gradient : (k, P) of the objective
    shift : (k,) the largest change of an estimate that it asks for, in standard errors
    step : (k, P) the change
    """

    log_likelihood: np.ndarray
    gradient: np.ndarray
    shift: np.ndarray
    step: np.ndarray


class Batch:
    """Runs fits of one kind; make and run it under the precision of the data.

    Parameters
    ----------
    shared : buckets without the fields that differ between fits.
    n : fits of a chunk.
    """

    def __init__(self, kind: BatchKind, shared: tuple[Bucket, ...], options: Options, rule: RuleOfBatch, n: int):
        self._kind, self._shared, self._options, self._is_exact, self._n = kind, shared, options, rule.is_exact, n
        problem = kind.settings.problem
        q, prior = problem.layout.covariance.q, problem.prior
        self._rule, self._finer = jax.device_put((rule.quadrature.padded(q, prior), rule.quadrature.judges(q, prior)[-1]))
        self._n_points, self._next = rule.quadrature.n_points, None if rule.is_exact else next_rule(rule.quadrature, q, options)
        self._finest = None if self._next is None else jax.device_put(self._next.judges(q, prior)[-1])
        if jax.tree.map(np.shape, self._finest) != jax.tree.map(np.shape, self._finer):  # which would be another program
            self._next = None
        self._run, self._n_workers = batch_programs(), n_cores()
        self._flight = InFlight(kind, _CHUNKS_IN_FLIGHT * n * self._n_workers)
        self._first_ends: dict[int, Ends] = {}  # singular ends, while a second start is tried
        self._unconfirmed: dict[int, Ends] = {}  # by a finer rule, while that is judged itself

    def run(self, source: Iterator[Rows]) -> Iterator[Ends]:
        """The ends of all fits of ``source``, some at a time, in no certain order."""
        precompile(self._run.traced, (self._kind, self._n), self._shared, self._rule)
        running: dict[concurrent.futures.Future[Any], tuple[Stage, list[int]]] = {}
        with Workers(self._n_workers) as workers:
            while True:
                self._flight.admit(source)
                # one more than there are workers, so that none waits for this thread
                while len(running) <= self._n_workers:
                    taken = self._flight.take(self._n, self._n_workers - len(running), not running)
                    if taken is None:
                        break
                    running[workers.start(self._step, *taken)] = taken
                if not running:
                    return
                for done in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                    yield from self._sorted(*running.pop(done), done.result())

    def _step(self, stage: Stage, seats: list[int]) -> Any:
        """One call of a program for the fits in ``seats``, in a thread of its own, and what it tells of each of them."""
        k, index, rows = len(seats), np.resize(seats, self._n), self._flight.rows  # repeats fill the chunk
        if stage is Stage.BEGIN:
            given = Given(*(part[index] for part in self._flight.given))
            found = self._run.begin(self._kind, self._shared, rows["data"][index], given)
            for name, values in zip(("start", "first_order"), found, strict=True):
                rows[name][seats] = np.asarray(values)[:k]
            return None
        chunk = BatchChunk(self._shared, rows["data"][index], rows["start"][index])
        if stage in (Stage.JUDGE, Stage.CONFIRM):
            rule = self._finer if stage is Stage.JUDGE else self._finest
            return self._judged(chunk, rows["first_order"][index], rows["newton"][index], rule, k)
        phase, own, after = (NEWTON, "newton", "verdict") if stage is Stage.NEWTON else (FIRST_ORDER, "first_order", "newton")
        state, follows, is_done = self._advance(phase, chunk, rows[own][index], Steps(self._rule, stage.n_steps))
        rows[own][seats], rows[after][seats] = state[:k], follows[:k]
        return is_done[:k]

    def _advance(self, phase: Phase, chunk: BatchChunk, states: np.ndarray, steps: Steps) -> list[np.ndarray]:
        return [np.asarray(part) for part in self._run.advance(phase, self._kind, chunk, states, steps)]

    def _judged(self, chunk: BatchChunk, states: np.ndarray, ends: np.ndarray, rule: Any, k: int) -> _Judged:
        form, newton = self._kind.first_order, self._kind.newton.unpack(ends)
        lowest, at = np.full(self._n, -np.inf), newton.at
        unknown = at._replace(value=lowest, log_likelihood=lowest, gradient=np.full_like(at.gradient, np.nan))
        there = form.unpack(states)._replace(theta=newton.theta, at=unknown, proposal=np.zeros_like(newton.theta), is_done=lowest > 0)
        last = form.unpack(self._advance(FIRST_ORDER, chunk, form.pack(there), Steps(rule, Stage.JUDGE.n_steps))[0]).at
        value = np.where(np.isfinite(last.value), last.log_likelihood, np.nan)
        return _Judged(value[:k], last.gradient[:k], *newton_steps(newton.hessian[:k], last.gradient[:k]))

    def _sorted(self, stage: Stage, seats: list[int], found: Any) -> Iterator[Ends]:
        """Let the fits of a chunk wait for what they need next; the ends of those that need nothing."""
        if stage is Stage.BEGIN:
            self._flight.wait(Stage.FRESH, seats)
        elif stage is Stage.JUDGE:
            yield from self._unless_confirmed(seats, found)
        elif stage is Stage.CONFIRM:
            yield from self._accepted(seats, self._confirmed(seats, found))
        else:
            same, after = (Stage.NEWTON, Stage.JUDGE) if stage is Stage.NEWTON else (Stage.FIRST_ORDER, Stage.NEWTON)
            done = [seat for seat, is_done in zip(seats, found, strict=True) if is_done]
            self._flight.wait(same, [seat for seat, is_done in zip(seats, found, strict=True) if not is_done])
            unjudged = [seat for seat in done if stage is Stage.NEWTON and self._needs_no_judge(seat)]
            self._flight.wait(after, [seat for seat in done if seat not in unjudged])
            for seat in unjudged:
                yield self._without_judge(seat)

    def _unless_confirmed(self, seats: list[int], found: _Judged) -> Iterator[Ends]:
        """The ends of judged fits, without those that wait: their rule has not settled, but its maximum is that of the finer one too."""
        ends = self._ends(seats)
        ends = ends._replace(error=found.log_likelihood - ends.log_likelihood, shift=found.shift)
        ends = ends._replace(is_final=is_accepted(self._kind.settings.problem, self._options, self._is_exact, ends))
        waits = np.zeros(len(seats), bool)
        if self._next is not None:
            reach = self._kind.start.unpack(self._flight.rows["start"][seats]).reach
            waits, decrement = are_confirmed(found.shift, found.step, found.gradient, reach, self._options.certificate)
            waits = waits & ~ends.is_final & is_certified(ends.code) & is_usual(self._kind.settings.problem, ends)
            points = np.full(len(seats), self._next.n_points)
            finer = ends._replace(log_likelihood=found.log_likelihood, gradient=found.gradient, decrement=decrement, n_agq=points)
            self._unconfirmed.update({seats[k]: finer.at(slice(k, k + 1)) for k in np.flatnonzero(waits)})
            self._flight.wait(Stage.CONFIRM, [seats[k] for k in np.flatnonzero(waits)])
        yield from self._accepted([seat for seat, is_waiting in zip(seats, waits, strict=True) if not is_waiting], ends.at(~waits))

    def _confirmed(self, seats: list[int], found: _Judged) -> Ends:
        """The ends by the finer rule, with what the next one says of it."""
        ends = Ends(*(np.concatenate(parts) for parts in zip(*(self._unconfirmed.pop(seat) for seat in seats), strict=True)))
        error = found.log_likelihood - ends.log_likelihood
        return ends._replace(error=error, shift=found.shift, is_final=are_settled(error, found.shift, self._options))

    def _needs_no_judge(self, seat: int) -> bool:
        return seat in self._first_ends or self._flight.rows["verdict"][seat, 0] == Code.NOT_FINITE

    def _without_judge(self, seat: int) -> Ends:
        """The end of a fit without a finite value, or of one whose second start is done: the first end, unless the second is a new one."""
        end = self._ends([seat])
        end = end._replace(is_final=is_accepted(self._kind.settings.problem, self._options, self._is_exact, end))
        self._flight.release([seat])
        first = self._first_ends.pop(seat, None)
        if first is None:
            return end
        is_new = is_certified(end.code) & ~(np.abs(end.objective - first.objective) <= SAME)
        return first._replace(n_evaluations=first.n_evaluations + end.n_evaluations, is_final=first.is_final & ~is_new)

    def _accepted(self, seats: list[int], ends: Ends) -> Iterator[Ends]:
        """The ends of judged fits, without those that are singular: these get a second start, as an ordinary fit does."""
        problem = self._kind.settings.problem
        again = ends.is_final & (ends.code == Code.CONVERGED_ON_BOUNDARY) & (not self._is_exact and problem.layout.covariance.q > 0)
        for k in np.flatnonzero(again):
            self._first_ends[seats[k]] = ends.at(slice(k, k + 1))
            reach = self._kind.start.unpack(self._flight.rows["start"][seats[k]]).effect_reach
            self._flight.begin_again(seats[k], with_full_rank(problem.layout, ends.theta[k], reach))
        self._flight.release([seat for seat, is_again in zip(seats, again, strict=True) if not is_again])
        yield ends.at(~again)

    def _ends(self, seats: list[int]) -> Ends:
        """Where ascents have ended; not judged."""
        rows, n = self._flight.rows, len(seats)
        newton, first = self._kind.newton.unpack(rows["newton"][seats]), self._kind.first_order.unpack(rows["first_order"][seats])
        start = self._kind.start.unpack(rows["start"][seats])
        ends = Ends(
            fits=self._flight.fits[seats],
            theta=newton.theta,
            hessian=newton.hessian,
            gradient=newton.at.gradient,
            log_likelihood=newton.at.log_likelihood,
            objective=newton.at.value,
            decrement=newton.decrement,
            code=rows["verdict"][seats, 0].astype(int),
            error=np.full(n, np.nan),
            shift=np.full(n, np.inf),
            n_evaluations=np.stack([first.n_em, first.n_quasi_newton, newton.n_newton], axis=-1),
            is_close=rows["verdict"][seats, 1] > 0,
            has_rivals=np.full(n, has_rivals(self._kind.settings.problem, start.effect_predictor[0])),
            is_final=np.ones(n, bool),
            n_agq=np.full(n, self._n_points),
        )
        return ends._replace(is_final=is_accepted(self._kind.settings.problem, self._options, self._is_exact, ends))
