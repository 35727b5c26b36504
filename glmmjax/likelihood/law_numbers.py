"""Constant, mean, variance and shape of a density of one variable that is known as a function only, found by numerical integration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.errors import ArgumentError

__all__ = ["LawNumbers", "law_numbers"]

_FALL = 35.0  # below the peak of the log density there is nothing more of the law: exp(-35) is 6e-16
_WIDEST_SEARCH, _SEARCH_POINTS = 18.0, 16_001  # the search for the law goes to sinh(18) / 1000, some 30,000, on both sides of 0
_FIRST, _MOST = 256, 2**19  # steps of the trapezoidal rule
_SETTLED = 1e-8  # relative change of constant, mean and variance when steps are halved
_FURTHEST = 40.0  # standard deviations from the mean where the law must have ended
_JUMP = 1e-4  # of the height of the density
_MOST_PEAKS = 12
_CHUNK = 8192  # points of one call of the function, so that it is compiled once
_TABLE = 4097  # points of the table of the distribution function


class LawNumbers(NamedTuple):
    """What a law needs beside its log density g. ``u = (v - mean) / sd`` has mean 0 and variance 1.

    Attributes
    ----------
    mean : of v
    sd : of v
    top : largest value of g
    log_constant : what is added to ``g(v) - top`` to have the log density of u
    reach : of u, beyond which there is nothing
    step : of a trapezoidal rule in u that is exact
    peaks : places of the maxima of the density of u
    skewness
    excess_kurtosis
    table : (2, T) points u and the distribution function there
    """

    mean: float
    sd: float
    top: float
    log_constant: float
    reach: float
    step: float
    peaks: tuple[float, ...]
    skewness: float
    excess_kurtosis: float
    table: np.ndarray


class _Sums(NamedTuple):
    """Of a trapezoidal rule over the range."""

    mass: float
    mean: float
    sd: float
    skewness: float
    kurtosis: float


def law_numbers(log_density: Callable[..., Any], ends: tuple[float, float] | None) -> LawNumbers:
    """The numbers of the law with the log density ``log_density`` (one number of one number), between ``ends`` or where it is found.

    Raises
    ------
    ArgumentError
        For a function that is no log density of such a law.
    """
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        g = _by_chunks(jax.jit(jax.vmap(log_density)))
        low, high = _range(g, ends)
        points = np.linspace(low, high, 8 * _FIRST + 1)
        top = float(g(points).max())
        _refuse_jumps(g, points, top)
        sums, n_exact = _settled(g, low, high, top)
        reach = max(high - sums.mean, sums.mean - low) / sums.sd
        if not reach <= _FURTHEST:
            raise _no_law(
                f"falls so slowly that some of it is left {reach:.0f} standard deviations from its mean, and at most {_FURTHEST:g} are "
                "taken. For heavy tails take StudentTEffects(df)"
            )
        _refuse_infinite(log_density, sums.mean, 2.0 * reach * sums.sd)
    density = np.exp(g(np.linspace(low, high, _TABLE)) - top)
    at = (np.linspace(low, high, _TABLE) - sums.mean) / sums.sd
    below = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return LawNumbers(
        mean=sums.mean,
        sd=sums.sd,
        top=top,
        log_constant=math.log(sums.sd / sums.mass),
        reach=reach,
        step=min(0.3, max((high - low) / sums.sd / n_exact, 1e-3)),
        peaks=_peaks(at, density),
        skewness=sums.skewness,
        excess_kurtosis=sums.kurtosis - 3.0,
        table=np.stack([at, below / below[-1]]),
    )


def _no_law(what: str) -> ArgumentError:
    return ArgumentError(f"CustomEffects(log_density) {what}.")


def _by_chunks(function: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The function of any number of points, which must be numbers or -infinity."""

    def of_points(points: np.ndarray) -> np.ndarray:
        padded = np.pad(points, (0, -len(points) % _CHUNK), mode="edge")
        found = np.concatenate([np.asarray(function(chunk), float) for chunk in padded.reshape(-1, _CHUNK)])[: len(points)]
        wrong = np.flatnonzero(np.isnan(found) | (found == np.inf))
        if len(wrong):
            raise _no_law(
                f"gives {found[wrong[0]]:g} at u = {points[wrong[0]]:.6g}, and must be a finite number for every u that the law can take, "
                "on the whole line"
            )
        return found

    return of_points


def _range(g: Callable[[np.ndarray], np.ndarray], ends: tuple[float, float] | None) -> tuple[float, float]:
    """Where all of the law is: outside of it the density is below exp(-35) of its peak."""
    points = np.sinh(np.linspace(-_WIDEST_SEARCH, _WIDEST_SEARCH, _SEARCH_POINTS)) * 1e-3 if ends is None else np.linspace(*ends, _CHUNK)
    for _ in range(60):
        values = g(points)
        inside = np.flatnonzero(values > values.max() - _FALL)
        if not np.isfinite(values.max()):
            raise _no_law("is minus infinity wherever it was tried; give ends=(low, high) between which the law is")
        if inside[0] == 0 or inside[-1] == len(points) - 1:
            where = "30,000 on both sides of 0" if ends is None else f"ends={ends}"
            raise _no_law(
                f"has not fallen to nothing at {where}: it is not integrable, or too little of it lies inside. It must fall by {_FALL:g} "
                "below its largest value; for heavy tails take StudentTEffects(df), for a law far from 0 give ends=(low, high)"
            )
        low, high = points[inside[0] - 1], points[inside[-1] + 1]
        if high - low > 0.9 * (points[-1] - points[0]):
            return float(low), float(high)
        margin = 0.02 * (high - low)
        points = np.linspace(low - margin, high + margin, _CHUNK)
    raise _no_law("has a peak too narrow to be found; give ends=(low, high) between which the law is")


def _settled(g: Callable[[np.ndarray], np.ndarray], low: float, high: float, top: float) -> tuple[_Sums, int]:
    """The sums once halving steps changes nothing, and the fewest steps that would have done."""
    n_steps, before = _FIRST, _sums(g, low, high, top, _FIRST)
    while n_steps < _MOST:
        found = _sums(g, low, high, top, 2 * n_steps)
        changes = np.abs(np.subtract(found, before)) / (1.0, before.sd, before.sd, 100.0, 100.0)  # the last two are shown only
        changes[0] /= before.mass
        if (changes < _SETTLED).all():
            return found, _fewest(g, low, high, top, n_steps, found)
        n_steps, before = 2 * n_steps, found
    raise _no_law(
        "has an integral, mean or variance that does not settle: steps of a rule that are halved again and again still change it. Is it "
        "continuous, and does it fall fast enough to have a variance? For heavy tails take StudentTEffects(df)"
    )


def _fewest(g: Callable[[np.ndarray], np.ndarray], low: float, high: float, top: float, n_steps: int, exact: _Sums) -> int:
    """The fewest steps, by halves, whose sums are as good."""
    while n_steps > 16:
        coarser = _sums(g, low, high, top, n_steps // 2)
        if not abs(coarser.mass / exact.mass - 1.0) + abs(coarser.mean - exact.mean) / exact.sd < 10.0 * _SETTLED:
            break
        n_steps //= 2
    return n_steps


def _sums(g: Callable[[np.ndarray], np.ndarray], low: float, high: float, top: float, n_steps: int) -> _Sums:
    points = np.linspace(low, high, n_steps + 1)
    weights = np.exp(g(points) - top)
    total = weights.sum()
    mean = float(weights @ points / total)
    sd = math.sqrt(max(float(weights @ (points - mean) ** 2 / total), 1e-300))
    z = (points - mean) / sd
    return _Sums(float(total * (high - low) / n_steps), mean, sd, float(weights @ z**3 / total), float(weights @ z**4 / total))


def _refuse_jumps(g: Callable[[np.ndarray], np.ndarray], points: np.ndarray, top: float) -> None:
    """Halve the intervals across which the density changes most: across a jump it goes on changing as much."""
    density = np.exp(g(points) - top)
    first = np.argsort(-np.abs(np.diff(density)))[:32]
    low, high = points[first], points[first + 1]
    for _ in range(45):
        middle = 0.5 * (low + high)
        at_low, at_middle, at_high = np.exp(g(np.concatenate([low, middle, high])) - top).reshape(3, -1)
        is_left = np.abs(at_middle - at_low) > np.abs(at_high - at_middle)
        low, high = np.where(is_left, low, middle), np.where(is_left, middle, high)
    left = np.abs(np.subtract(*np.exp(g(np.concatenate([low, high])) - top).reshape(2, -1)))
    if left.max() > _JUMP:
        raise _no_law(
            f"has a jump at u = {low[left.argmax()]:.6g}. A law of random effects has a continuous density on the whole line: no uniform "
            "or exponential law"
        )


def _refuse_infinite(log_density: Callable[..., Any], mean: float, half: float) -> None:
    """The rules of a fit have nodes far out, and take derivatives there."""
    points = jnp.asarray(np.linspace(mean - half, mean + half, 513))
    first = jax.grad(lambda v: jnp.asarray(log_density(v), float))
    for what, function in (("value", log_density), ("derivative", first), ("second derivative", jax.grad(first))):
        values = np.asarray(jax.jit(jax.vmap(function))(points))
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise _no_law(
                f"has the {what} {values[wrong[0]]:g} at u = {float(points[wrong[0]]):.6g}. It must be finite, with two derivatives, for "
                f"every u from {mean - half:.4g} to {mean + half:.4g}, twice as far out as the law goes: it has no ends"
            )


def _peaks(at: np.ndarray, density: np.ndarray) -> tuple[float, ...]:
    """The highest maxima, in their order along the line; on so coarse a grid no rounding error makes one."""
    at, density = at[::8], density[::8]
    inner = density[1:-1]
    found = 1 + np.flatnonzero((inner >= density[:-2]) & (inner > density[2:]) & (inner > 1e-6))
    highest = found[np.argsort(-density[found], kind="stable")][:_MOST_PEAKS]
    return tuple(sorted(at[highest].tolist()))
