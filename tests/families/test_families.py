"""Every family and link of the tables in ``cases``: density, derivatives, tails, mean, draws, support, identity.

Evaluated without jit and in arrays of one shape: an operation is then compiled once for all families, and not one program a family.
"""

import functools
import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glmmjax.estimation.separation import sides
from glmmjax.families import FAMILIES, Family, WithDispersion
from tests.families.cases import continuous, counts, ordinal, plain, zero_part
from tests.families.cases.row import Row

ROWS: list[Row] = [*plain.ROWS, *continuous.ROWS, *counts.ROWS, *zero_part.ROWS, *ordinal.ROWS]
FIRST = {type(row.family): row for row in reversed(ROWS)}.values()


def cases(others=()):
    """All rows; ``others`` marks those after the first of a family."""
    is_first = [any(row is first for first in FIRST) for row in ROWS]
    names = [f"{row.family.name}-{row.family.link.name}" for row in ROWS]
    return [pytest.param(row, id=name, marks=() if first else others) for row, name, first in zip(ROWS, names, is_first, strict=True)]


ROWS_OF_GRID, COLUMNS_OF_GRID = 8, 160
FAR = 700.0  # beyond it exp() overflows
STEP = 2e-3
STENCIL = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
WEIGHTS = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0  # of a first derivative, exact for polynomials of degree 4

each_row = pytest.mark.parametrize("row", cases())
each_family = pytest.mark.parametrize("row", cases(others=pytest.mark.slow))  # where a row takes a second


pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def density(row: Row, y, eta, phi=None, eta_zi=None) -> np.ndarray:
    """Log density for outcomes ``y`` as the row writes them."""
    zero = (jnp.full(np.shape(eta), row.eta_zi if eta_zi is None else eta_zi),) if row.family.has_zero_part else ()
    return np.asarray(row.family.log_density(outcome(row, y), jnp.asarray(eta), jnp.asarray(row.phi if phi is None else phi, float), *zero))


def outcome(row: Row, y):
    """``y`` in the form that the family takes, on the device."""
    return jax.tree.map(jnp.asarray, row.columns(np.asarray(y, float)))


def value(row: Row, y) -> np.ndarray:
    """What ``mean`` is the expectation of: the outcome, its first column, or the proportion of trials."""
    return np.asarray(row.family.response(jax.tree.map(np.asarray, y)))


def grid(row: Row, columns) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of the row (8, 160) and ``columns`` (..., 160), both repeated until they fill the shape that all families share."""
    assert len(row.y) <= ROWS_OF_GRID
    columns = np.asarray(columns)
    n = COLUMNS_OF_GRID * -(-columns.shape[-1] // COLUMNS_OF_GRID)
    filled = columns[..., np.arange(n) % columns.shape[-1]]
    return np.resize(row.y, ROWS_OF_GRID)[:, None] + np.zeros(n), filled


def parameters(row: Row) -> np.ndarray:
    """(p,) what the density is differentiated by, after eta: phi and eta_zi."""
    return np.array([*row.phi, *([row.eta_zi] if row.family.has_zero_part else [])])


def split(row: Row, rest):
    """``phi`` and ``zero`` as ``log_density`` takes them, from a list of arrays."""
    n_phi = len(row.phi)
    return (jnp.stack(rest[:n_phi]) if n_phi else jnp.zeros(0)), *rest[n_phi:]


@functools.cache
def _nodes(interval: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Double-exponential rule (Takahasi and Mori 1974) over an interval that may be infinite, for integrands with singular ends."""
    low, high = interval
    t, h = np.linspace(-5.0, 5.0, 701, retstep=True)
    if np.isinf(low):
        u, du = np.sinh(t * 0.7), 0.7 * np.cosh(t * 0.7)
        x, w = np.sinh(u), np.cosh(u) * du
    elif np.isinf(high):
        u, du = np.pi / 2 * np.sinh(t), np.pi / 2 * np.cosh(t)
        x, w = low + np.exp(u), np.exp(u) * du
    else:
        u, du = np.pi * np.sinh(t), np.pi * np.cosh(t)
        x, w = low + (high - low) / (1.0 + np.exp(-u)), (high - low) * du / (2.0 + np.exp(u) + np.exp(-u))
    keep = (x > low) & (x < high) & (x < 1e11)
    return x[keep], h * w[keep]


def mass(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Values (n,) and their probabilities (n, eta): the atoms, and the nodes of the integral over the continuous part."""
    x, w = _nodes(row.interval) if row.interval else (np.zeros(0), np.zeros(0))
    y, weights = np.r_[row.atoms, x], np.r_[np.ones(len(row.atoms)), w]
    y, weights = np.resize(y, 1024), np.r_[weights, np.zeros(1024 - len(y))]  # one length for all families, see ``grid``
    p = np.exp(density(row, y[:, None] + np.zeros(len(row.eta)), np.zeros((len(y), 1)) + row.eta)) * weights[:, None]
    return value(row, row.columns(y)), p


def has_mass(row: Row) -> bool:
    """Whether the row says what the density sums over; one that looks at censored outcomes does not."""
    return bool(row.atoms) or row.interval is not None


@each_row
def test_density_is_that_of_the_reference(row):
    y, eta = grid(row, row.eta)
    eta = eta + np.zeros_like(y)
    natural = np.asarray(row.family.natural(jnp.asarray(row.phi, float)))
    expected = row.reference(y, eta, natural, *([row.eta_zi] if row.family.has_zero_part else []))
    actual = density(row, y, eta)
    assert actual.shape == eta.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-11)


@each_row
def test_density_integrates_to_one(row):
    if has_mass(row):
        np.testing.assert_allclose(mass(row)[1].sum(0), 1.0, atol=1e-8)


@each_row
def test_mean_is_that_of_the_density(row):
    zero = (jnp.full(len(row.eta), row.eta_zi),) if row.family.has_zero_part else ()
    mean = np.asarray(row.family.mean(jnp.asarray(row.eta), jnp.asarray(row.phi, float), *zero))
    assert mean.shape == (len(row.eta),)
    if has_mass(row) and not np.isnan(mean).any():
        y, p = mass(row)
        np.testing.assert_allclose(mean, y @ p, rtol=1e-6, atol=1e-8)


@each_family
def test_draws_have_the_distribution_of_the_density(row):
    if not has_mass(row):
        return
    shape = (5000, len(row.eta))
    eta = jnp.zeros(shape) + jnp.asarray(row.eta)
    zero = (jnp.full(shape, row.eta_zi),) if row.family.has_zero_part else ()
    seen = outcome(row, np.full(shape, row.y[0]))
    drawn = row.family.sample(jax.random.key(1), seen, eta, jnp.asarray(row.phi, float), *zero)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), drawn) == jax.tree.map(lambda a: (a.shape, a.dtype), seen)
    assert row.family.in_support(jax.tree.map(np.asarray, drawn)).all()

    y, p = mass(row)
    mean = y @ p
    deviation = np.sqrt(y**2 @ p - mean**2)
    # held at six deviations, so that the error of a mean square is finite for heavy tails
    expected, actual = (np.clip((v - mean) / deviation, -6.0, 6.0) for v in (y[:, None], value(row, drawn)))
    for power in (1, 2):
        moment = (expected**power * p).sum(0)
        error = np.sqrt(((expected**power - moment) ** 2 * p).sum(0) / shape[0])
        np.testing.assert_array_less(np.abs((actual**power).mean(0) - moment), 5 * error + 1e-12)


@each_family
def test_three_derivatives_match_differences(row):
    """Along every axis and diagonal of (eta, phi, eta_zi), which fixes the mixed derivatives too."""
    base = np.concatenate([[0.0], parameters(row)])
    axes = np.eye(len(base))
    diagonals = [a + sign * b for a, b in itertools.combinations(axes, 2) for sign in (1.0, -1.0)]
    along = np.array([*axes, *diagonals])
    points = np.array(list(itertools.product(row.eta[::2], range(len(along)), STEP * STENCIL))).T
    y, (eta, direction, offset) = grid(row, points)
    start = jnp.asarray(base[:, None] + np.outer(axes[0], eta))
    slope = jnp.asarray(along[direction.astype(int)].T)

    def f(t):
        e, *rest = start + slope * t
        return row.family.log_density(outcome(row, y), e + jnp.zeros_like(y), *split(row, rest))

    orders = lambda t: (f(t),)  # noqa: E731
    for _ in range(3):
        orders = _with_next_order(orders)
    values = [np.asarray(v)[:, : points.shape[1]].reshape(len(y), -1, len(STENCIL)) for v in orders(jnp.asarray(offset))]
    for order, (lower, upper) in enumerate(itertools.pairwise(values), start=1):
        exact = upper[..., 2]
        np.testing.assert_allclose(exact, lower @ WEIGHTS / STEP, rtol=1e-6, atol=1e-6, err_msg=f"derivative {order}")


def _with_next_order(orders):
    def more(t):
        values, slopes = jax.jvp(orders, (t,), (jnp.ones_like(t),))
        return (*values, slopes[-1])

    return more


@each_family
def test_tails_are_finite(row):
    """In reverse mode, where a branch that jnp.where discards still spoils a derivative, and forward over it."""
    middle = np.array([row.eta[1], *parameters(row)])
    initial = np.array([row.eta[1], *row.family.initial_phi(), *middle[1 + len(row.phi) :]])
    predictors = [0, *range(1 + len(row.phi), len(middle))]  # eta and eta_zi also go far together
    corners = itertools.product((-FAR, row.eta[1], FAR), repeat=len(predictors))
    far = [_moved(middle, dict(zip(predictors, corner, strict=True))) for corner in corners]
    far += [_moved(initial, {j: initial[j] + shift}) for j in range(1, 1 + len(row.phi)) for shift in (-15.0, 15.0)]
    y, points = grid(row, np.array(far).T)

    def total(x):
        density = row.family.log_density(outcome(row, y), x[0], *split(row, x[1:]))
        return density.sum(), density

    x = [jnp.asarray(a + np.zeros_like(y)) for a in points]
    # a row of the Hessian that is not finite has no finite sum, so one direction stands for all
    (first, values), (second, _) = jax.jvp(jax.grad(total, has_aux=True), (x,), ([jnp.ones_like(a) for a in x],))
    for name, computed in {"density": [values], "first derivative": first, "second derivative": second}.items():
        bad = ~np.isfinite(np.array(computed)).all((0, 1))
        assert not bad.any(), f"{name} at {np.unique(points[:, bad].T, axis=0)}"


def _moved(point, values):
    moved = point.copy()
    moved[list(values)] = list(values.values())
    return moved


@each_row
def test_log_density_is_concave_where_it_claims(row):
    if not row.family.is_log_concave:
        return
    y, eta = grid(row, np.linspace(-30.0, 30.0, COLUMNS_OF_GRID))
    e = jnp.asarray(eta + np.zeros_like(y))
    for shift in (-2.0, 0.0, 2.0):
        rest = jnp.asarray(parameters(row) + shift)
        f = lambda e, rest=rest: row.family.log_density(outcome(row, y), e, *split(row, list(rest)))  # noqa: E731
        slope = lambda e, f=f: jax.jvp(f, (e,), (jnp.ones_like(e),))[1]  # noqa: E731
        curvature = np.asarray(jax.jvp(slope, (e,), (jnp.ones_like(e),))[1])
        assert curvature.max() <= 1e-9


@each_row
def test_float32_follows(row):
    y, eta = grid(row, row.eta)
    eta = eta + np.zeros_like(y)
    wide = density(row, y, eta)
    with jax.enable_x64(False):
        narrow = density(row, y, eta)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, rtol=1e-3, atol=1e-3)


@each_row
def test_parameters_have_names_and_values(row):
    names, phi = row.family.phi_names, jnp.asarray(row.phi, float)
    assert len(names) == len(row.phi) == len(row.family.initial_phi())
    for start in (phi, jnp.asarray(row.family.initial_phi(), float)):
        natural = np.asarray(row.family.natural(start))
        assert natural.shape == (len(names),)
        assert np.isfinite(natural).all()


@each_row
def test_support_is_what_can_be_seen(row):
    family = row.family
    assert family.in_support(row.columns(np.array(row.y + row.atoms))).all()
    assert not family.in_support(row.columns(np.array(row.bad))).any()
    for no_number in (np.nan, np.inf, -np.inf):
        seen = row.columns(np.array(row.y))
        wrong = np.full(len(row.y), no_number)
        assert not family.in_support((wrong, *seen[1:]) if isinstance(seen, tuple) else wrong).any()
    y, _ = grid(row, row.eta)
    seen = outcome(row, y)
    for eta in [family.initial_eta(seen), *([family.initial_zero_eta(seen)] if family.has_zero_part else [])]:
        assert eta.shape == y.shape
        assert np.isfinite(eta).all()


@each_row
def test_whole_numbers_and_the_lowest_one_are_what_the_support_has(row):
    def is_possible(value: float) -> bool:
        return bool(np.all(row.family.in_support(row.columns(np.array([value])))))

    assert row.family.is_discrete == (is_possible(1.0) and not is_possible(0.5))
    if row.family.is_discrete:
        assert is_possible(row.family.lowest)
        assert not is_possible(row.family.lowest - 1.0)


@each_row
def test_limits_are_the_outcome_unless_it_may_be_censored(row):
    y = np.array(row.y)
    low, high = row.family.limits(row.columns(y))
    assert ((low <= y) & (y <= high)).all()
    assert row.family.is_censored or ((low == y) & (high == y)).all()


@each_row
def test_deviance_is_positive_away_from_the_outcome(row):
    family = row.family
    if not family.has_deviance or (family.is_censored and isinstance(row.columns(np.array(row.y)), tuple)):
        return
    y, eta = grid(row, np.linspace(min(row.eta), max(row.eta), COLUMNS_OF_GRID))
    mean = family.mean(jnp.asarray(eta + np.zeros_like(y)), jnp.asarray(row.phi, float))
    deviance = np.asarray(family.deviance(outcome(row, y), mean, jnp.asarray(row.phi, float)))
    assert (deviance[value(row, row.columns(y)) != np.asarray(mean)] > 0.0).all()


@each_row
def test_a_predictor_of_the_extra_parameter_changes_no_trait(row):
    family = row.family
    if len(row.phi) != 1:
        return
    wrapped = WithDispersion(family)
    names = {*Family.__annotations__, "mean_link", "mean_scale"} - {"links", "phi_names", "has_dispersion"}
    assert {name: getattr(wrapped, name) for name in names} == {name: getattr(family, name) for name in names}
    assert (wrapped.plain, wrapped.has_dispersion) == (family, True)
    assert (family.plain, family.has_dispersion) == (family, False)


@each_row
def test_families_are_equal_and_hash_by_value(row):
    twin = pickle.loads(pickle.dumps(row.family))
    assert twin is not row.family
    assert twin == row.family
    assert hash(twin) == hash(row.family)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_registered_family_and_link_has_a_row(family):
    links = {type(row.family.link) for row in ROWS if type(row.family) is family}
    assert links == set(family.links)


@each_row
def test_sides_are_those_of_the_density(row):
    """Along a predictor the density rises to its largest value at the end that a side names, and else has its maximum inside."""
    moving = np.linspace(-40.0, 40.0, COLUMNS_OF_GRID)
    link = row.family.link.name  # a predictor that cannot cross 0 has its maximum at 0, or one on each side
    is_whole_line = link not in ("identity", "inverse", "sqrt") and not (link == "log" and row.family.has_trials)
    y, along = grid(row, moving)
    for e in range(1 + row.family.has_zero_part):
        eta, eta_zi = (along, None) if e == 0 else (np.ones_like(along), along)
        values = density(row, y, eta + np.zeros_like(y), eta_zi=None if eta_zi is None else eta_zi + np.zeros_like(y))
        down, up = sides(row.family, jax.tree.map(np.asarray, outcome(row, y[:, 0])), e)
        for seen, falls, rises in zip(values, down, up, strict=True):
            seen = seen[np.isfinite(seen)]
            slack = 1e-12 * (1.0 + np.minimum(np.abs(seen[1:]), np.abs(seen[:-1])))
            assert not falls or (np.diff(seen) <= slack).all()
            assert not rises or (np.diff(seen) >= -slack).all()
            assert falls == rises or abs(seen[0] - seen[-1]) > 0.1
            assert falls or rises or not is_whole_line or max(seen[0], seen[-1]) < seen.max() - 1e-3
