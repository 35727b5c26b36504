"""The command line: ``fit`` a user's CSV file, or run the ``demo`` on the shipped data.

Exit status: 0 for a converged fit, 1 for one that is not (its summary is printed all the same), 2 for wrong input.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

import glmmjax as gj
from glmmjax import datasets
from glmmjax.design import ModelArguments
from glmmjax.design.formula.allow_list import check_formula
from glmmjax.errors import ArgumentError, GlmmError
from glmmjax.families import FAMILIES, Family, resolve_family
from glmmjax.likelihood.covariance import STRUCTURES

__all__ = ["main"]

_DESCRIPTION = "Generalized linear mixed models by adaptive Gauss-Hermite quadrature."
_EXAMPLE = """example:
  python -m glmmjax fit visits.csv "y ~ sex * time" "~ 1 | id" --family binomial"""
_POISSON_NOTE = (
    "For this example GLMMadaptive reports log-likelihood -2782.306 with intercept 2.945; the maximum is -2756.2984 with intercept 2.1110."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            return options.run(options)
    except OSError as error:
        return _fail(f"cannot read {error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except GlmmError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt as error:
        return _fail(str(error) or "interrupted", 130)


def build_parser() -> argparse.ArgumentParser:
    """The parser of both commands; ``run`` is the function that carries one out."""
    parser = argparse.ArgumentParser(
        prog="python -m glmmjax", description=_DESCRIPTION, epilog=_EXAMPLE, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)

    fit = commands.add_parser("fit", help="fit a model to a CSV file and print its summary")
    fit.add_argument("data", metavar="DATA.csv", help="a file with a header line")
    fit.add_argument("fixed", help='outcome and fixed effects, such as "y ~ sex * time"')
    fit.add_argument(
        "random", nargs="?", help='random effects, such as "~ time | id"; leave out for none, or for lme4\'s one-formula spelling'
    )
    fit.add_argument("--family", required=True, help=f"one of {', '.join(FAMILIES)}")
    fit.add_argument("--link", help="the family's own by default")
    fit.add_argument("--zi-fixed", metavar="FORMULA", help='fixed effects of the zero part, such as "~ sex"; an intercept by default')
    fit.add_argument("--zi-random", metavar="FORMULA", help='random effects of the zero part, such as "~ 1 | id"')
    fit.add_argument("--dispersion", metavar="FORMULA", help='effects on the extra parameter, such as "~ sex"')
    fit.add_argument("--covariance", help=f"structure of the random effects: {', '.join(STRUCTURES)}")
    fit.add_argument("--n-agq", type=_n_agq, metavar="N", help="quadrature points per random effect; by default as the integral needs")
    fit.add_argument("--penalized", action="store_true", help="Student's t penalty on the fixed effects")
    fit.add_argument("--progress", action="store_true", help="show the iterations on one line")
    fit.set_defaults(run=run_fit)

    commands.add_parser("demo", help="fit the introductory examples and compare the models").set_defaults(run=run_demo)
    return parser


def run_fit(options: argparse.Namespace) -> int:
    """Fit the model that the options describe."""
    names = ("n_agq", "zi_fixed", "zi_random", "dispersion", "covariance")
    extra: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    data = _read(options.data)
    texts = {name: extra[name] for name in ("zi_fixed", "zi_random", "dispersion") if name in extra}
    check_formula(ModelArguments(options.fixed, options.random, data, options.family, **texts).formula)
    fit = gj.mixed_model(
        options.fixed,
        random=options.random,
        data=data,
        family=_family(options.family, options.link),
        penalized=options.penalized,
        progress=options.progress,
        **extra,
    )
    print(fit.summary())
    return 0 if fit.converged else 1


def run_demo(options: argparse.Namespace) -> int:
    """Fit the two introductory examples with growing random-effects structures and compare them."""
    del options
    return max(_demo_binomial(), _demo_poisson())


def _demo_binomial() -> int:
    data, fixed = datasets.load_intro_binomial(), "y ~ sex * time"
    structures = {"no random effects": None, "~ 1 | id": "~ 1 | id", "~ time || id": "~ time || id", "~ time | id": "~ time | id"}
    fits = {name: gj.mixed_model(fixed, random=random, data=data, family="binomial") for name, random in structures.items()}
    for name in list(fits)[1:]:
        _show(f"Binary outcome: {fixed}, {name}", fits[name].summary())
    for smaller, larger in itertools.pairwise(fits):
        # the smaller model sets a variance to 0, on its boundary; the last step adds a correlation only
        _show(f"{smaller}  against  {larger}", gj.anova(fits[smaller], fits[larger], boundary=larger != "~ time | id"))
    return _status(fits.values())


def _demo_poisson() -> int:
    data, formulas = datasets.load_intro_poisson(), ("y ~ sex + time", "y ~ sex * time")
    smaller, larger = (gj.mixed_model(fixed, random="~ 1 | id", data=data, family="poisson") for fixed in formulas)
    _show(f"Count outcome: {formulas[1]}, ~ 1 | id", larger.summary())
    print(_POISSON_NOTE)
    _show("  against  ".join(formulas), gj.anova(smaller, larger))
    return _status([smaller, larger])


def _read(path: str) -> pd.DataFrame:
    """The table of a file on this machine."""
    if "://" in path:
        raise ArgumentError(f"{path!r} is an address, and the data must be a file on this machine; download it first.")
    try:
        return pd.read_csv(path)
    except OSError as error:
        raise ArgumentError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # pandas and the readers of packed files have many ways to say that a byte is wrong
        raise ArgumentError(f"{path!r} cannot be read as a table with a header line and commas: {error}") from None


def _family(name: str, link: str | None) -> Family:
    family = resolve_family(name)
    if link is None:
        return family
    constructor: Any = type(family)
    try:
        return constructor(link=link)
    except TypeError:
        raise ArgumentError(f"--link={link!r}: the {name} family has no choice of link; leave --link out.") from None


def _n_agq(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is neither a whole number nor "auto"') from None


def _status(fits: Iterable[Any]) -> int:
    return 0 if all(fit.converged for fit in fits) else 1


def _show(title: str, body: object) -> None:
    print(f"\n{title}\n{'=' * len(title)}\n{body}")


def _fail(text: str, status: int) -> int:
    """One line on standard error, whatever line breaks the message has."""
    print(f"glmmjax: {' '.join(text.removeprefix('glmmjax: ').split())}", file=sys.stderr)
    return status


def _print_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"glmmjax: warning: {' '.join(str(message).split())}", file=sys.stderr)
