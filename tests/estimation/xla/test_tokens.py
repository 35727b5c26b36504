"""Names of programs: equal for equal values in any process, different where another program would be compiled."""

import functools
import importlib.metadata
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.xla.tokens import NotStorable, token
from glmmjax.families.registry import FAMILIES
from glmmjax.likelihood.covariance import Autoregressive, CompoundSymmetry, diagonal, unstructured


def density(scale):
    """A function that is made anew at each call, as in a user's script."""
    return lambda y, eta, phi: -0.5 * ((y - eta) / scale) ** 2


def outer(values):
    return density(jnp.sum(jnp.asarray(values)))


HELPER = 1.0


def reads_a_global(x):
    return HELPER * x


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


class Point(NamedTuple):
    x: float


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), ("1", 1), ((1, 2), [1, 2]), ((1, (2,)), ((1, 2),)),
        (np.zeros(2), np.zeros(2, np.float32)), (np.zeros(2), np.ones(2)),
        (np.zeros((2, 1)), np.zeros((1, 2))), (density(1.0), density(2.0)), (functools.partial(max, 1), functools.partial(max, 2)),
        (gj.families.Custom(density(1.0)), gj.families.Custom(density(2.0))), (gj.families.Binomial(), gj.families.Binomial(link="probit")),
        (lambda x: x + 1, lambda x: x + 2), (lambda x: x + 1, lambda x: x - 1), ({"a": 1}, {"a": 2}), (np.sin, np.cos),
        (gj.Options(), gj.Options(n_newton=31)),
    ],
)  # fmt: skip
def test_different_values_have_different_names(one, other):
    assert token(one) != token(other)


@pytest.mark.parametrize(
    "make",
    [lambda: density(2.0), lambda: outer([1.0, 2.0]), lambda: gj.families.Custom(density(1.0)), lambda: factorial,
     lambda: {"b": 1, "a": (2, np.ones(3))},
     lambda: gj.families.NegativeBinomial(), lambda: functools.partial(density(1.0), 1.0)],
)  # fmt: skip
def test_equal_values_have_equal_names(make):
    assert token(make()) == token(make())


def test_a_global_that_a_function_reads_is_part_of_it(monkeypatch):
    before = token(reads_a_global)
    monkeypatch.setitem(reads_a_global.__globals__, "HELPER", 2.0)
    assert token(reads_a_global) != before


def test_every_family_and_structure_has_a_name_of_its_own():
    made = [kind() for kind in FAMILIES.values()]
    structures = [unstructured(2), diagonal(2), CompoundSymmetry(2), Autoregressive(2)]
    assert len({token(value) for value in [*made, *structures]}) == len(made) + len(structures)


@pytest.mark.parametrize(
    "value",
    [object(), Point(1.0), (1, object()), lambda: Point, np.array([object()])],
    ids=["object", "named tuple", "in a tuple", "function", "array"],
)
def test_what_says_nothing_of_its_parts_has_no_name(value):
    if callable(value):
        state = Point(1.0)
        value = lambda x: state.x * x  # noqa: E731
    with pytest.raises(NotStorable):
        token(value)


def test_names_are_the_same_in_another_process():
    custom = "gj.families.Custom(lambda y, eta, phi: -(y - eta) ** 2)"
    code = f"import glmmjax as gj; from glmmjax.estimation.xla.tokens import token; print(token(({custom}, frozenset('ab'), {{'x': 1}})))"
    found = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(found) == 1


def scaled(density):
    """A decorator of a user, which copies the name of what it wraps."""

    @functools.wraps(density)
    def wrapped(y, eta, phi):
        return FACTOR * density(y, eta, phi)

    return wrapped


FACTOR = 2.0


def test_a_copied_name_hides_nothing(monkeypatch):
    """``functools.wraps`` gives a user's function the module of ours: where it was written tells what it reads."""
    like_ours = scaled(gj.families.Poisson().log_density)
    assert like_ours.__module__.startswith("glmmjax")
    before = token(like_ours)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert token(like_ours) != before


def with_rule(factor):
    @jax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (square(primals[0]), factor * primals[0] * tangents[0]))
    return square


def test_rules_of_derivatives_are_part_of_a_function():
    assert token(with_rule(2.0)) == token(with_rule(2.0))
    assert token(with_rule(2.0)) != token(with_rule(3.0))


def test_a_jitted_function_is_what_it_was_made_of():
    assert token(jax.jit(density(1.0))) == token(jax.jit(density(1.0)))
    assert token(jax.jit(density(1.0))) != token(jax.jit(density(2.0)))


def imports_another(y, eta, phi):
    import pandas

    return pandas.eval("y - eta")


def imports_known(y, eta, phi):
    import jax.numpy

    return jax.numpy.abs(y - eta)


def evaluates(y, eta, phi):
    return eval("y - HELPER * eta")


def test_what_a_function_imports_or_evaluates_has_to_be_known():
    token(imports_known)
    for function in (imports_another, evaluates):
        with pytest.raises(NotStorable):
            token(function)


def uses_scipy(y, eta, phi):
    import scipy

    return scipy.special.expit(eta) - y


def test_a_package_without_a_version_is_not_known(monkeypatch):
    """Copied beside the program, as some bundles do; ours has the digest of its source instead."""

    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    before = token(uses_scipy)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1")
    assert token(uses_scipy) != before
    monkeypatch.setattr(importlib.metadata, "version", unknown)
    with pytest.raises(NotStorable):
        token(uses_scipy)
    token(lambda y, eta, phi: gj.families.softplus(eta) - y * eta)
