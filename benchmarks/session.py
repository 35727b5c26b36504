"""The calls of an analyst's session: fits that add and drop terms, other families, then the methods of a fit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj

__all__ = ["calls"]

Calls = Iterator[tuple[str, Callable[[], Any]]]

_INTRO = "y ~ sex * time"
_FORMULAS = (
    _INTRO, "y ~ sex + time", "y ~ time", "y ~ sex", "y ~ sex + time + I(time**2)", "y ~ sex * (time + I(time**2))",
    "y ~ sex + bs(time, df=4)", "y ~ 1",
)  # fmt: skip


def calls() -> Calls:
    """Labels and calls, in the order in which they are made."""
    intro = gj.datasets.load_intro_binomial()
    yield from _terms(intro)
    yield from _families(gj.datasets.load_intro_poisson())
    yield from _methods(intro)


def _terms(intro: pd.DataFrame) -> Calls:
    for formula in _FORMULAS:
        yield f"binomial, {formula}", functools.partial(_fit, intro, formula)
    yield "binomial, ~ time | id", lambda: _fit(intro, random="~ time | id")


def _families(counts: pd.DataFrame) -> Calls:
    rng, n = np.random.default_rng(1), len(counts)
    share, events, grade = rng.beta(2, 3, n), rng.binomial(10, rng.beta(2, 2, n)), rng.integers(0, 10, n)
    counts = counts.assign(share=share, size=np.exp(rng.normal(size=n)), events=events, rest=10 - events, grade=grade)
    yield "Poisson", lambda: _fit(counts, family="poisson")
    yield "negative binomial", lambda: _fit(counts, family="negative_binomial")
    yield "Gamma", lambda: _fit(counts, "size ~ sex * time", family="gamma")
    yield "beta", lambda: _fit(counts, "share ~ sex * time", family="beta")
    yield "beta-binomial", lambda: _fit(counts, "cbind(events, rest) ~ sex * time", family="beta_binomial")
    yield "cumulative, 10 levels", lambda: _fit(counts, "grade ~ sex * time", family=gj.families.Cumulative(n_levels=10))
    zero_part: dict[str, Any] = {"zi_fixed": "~ sex", "family": "zero_inflated_poisson"}
    yield "zero-inflated Poisson", lambda: _fit(counts, **zero_part)


def _methods(intro: pd.DataFrame) -> Calls:
    fit, smaller = _fit(intro), _fit(intro, "y ~ sex + time")
    history = intro[(intro["id"] == 1)]
    yield "summary()", lambda: str(fit.summary())
    yield "anova", lambda: gj.anova(smaller, fit)
    yield 'cov_params("CR2")', lambda: fit.cov_params("CR2")
    yield 'conf_int(method="profile")', lambda: fit.conf_int(method="profile")
    yield "bootstrap(20)", lambda: fit.bootstrap(20)
    yield "marginal_coefs", lambda: fit.marginal_coefs().summary()
    yield "marginal_means", lambda: fit.marginal_means(by="sex")
    yield "contrasts", lambda: fit.contrasts(by="sex")
    yield "predict, marginal, with intervals", lambda: fit.predict(kind="marginal", interval=0.95)
    yield "predict, subject-specific, with intervals", lambda: fit.predict(kind="subject_specific", interval=0.95)
    yield "predict, dynamic", lambda: fit.predict(history[:4], history[4:], interval=0.95)
    yield "simulate", lambda: fit.simulate(10)
    yield "quantile_residuals", lambda: fit.quantile_residuals()
    yield "plot_qq", lambda: _plotted(fit.plot_qq)
    yield "influence", lambda: fit.influence().cooks_distance()
    yield "scoring_rules", lambda: fit.scoring_rules()


def _fit(data: pd.DataFrame, fixed: str = _INTRO, random: str | None = "~ 1 | id", family: Any = "binomial", **others: Any) -> Any:
    return gj.mixed_model(fixed, random=random, data=data, family=family, **others)


def _plotted(plot: Callable[[], Any]) -> None:
    import matplotlib

    matplotlib.use("agg")
    plot()
