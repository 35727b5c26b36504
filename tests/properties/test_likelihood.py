"""What changes no likelihood: names, orders, codings, units, and other ways to write the same data."""

import numpy as np
import pandas as pd
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.models import (
    FAMILIES,
    SIZES,
    by_cluster,
    orders_of_clusters,
    orders_of_rows,
    point,
    seeds,
    several,
    table,
    value,
)

pytestmark = pytest.mark.usefixtures("compile_quickly")
of_families = pytest.mark.parametrize("family", FAMILIES)
numbers = st.floats(-3, 3)
logarithms = st.floats(-4, 4)  # of a factor


def same(a, b):
    """Equal but for the rounding of sums of some twenty terms."""
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@of_families
@several
@given(seed=seeds, order=orders_of_rows)
def test_the_order_of_rows(family, seed, order):
    data, at = table(seed, family), point(seed, family)
    one, other = by_cluster(data, family, at), by_cluster(data.iloc[list(order)], family, at)
    same(other[one.index], one)
    same(value(data.iloc[list(order)], family, at), one.sum())


@of_families
@several
@given(seed=seeds, order=orders_of_clusters)
def test_the_order_of_clusters(family, seed, order):
    data, at = table(seed, family), point(seed, family)
    moved = pd.concat([data[data["id"] == cluster] for cluster in order])
    same(by_cluster(moved, family, at)[list(range(len(SIZES)))], by_cluster(data, family, at))


@of_families
@several
@given(seed=seeds, labels=st.lists(st.text(min_size=1) | st.integers() | st.booleans(), min_size=8, max_size=8, unique_by=str))
def test_the_names_of_clusters(family, seed, labels):
    data, at = table(seed, family), point(seed, family)
    names = [str(label) for label in labels]
    same(by_cluster(data.assign(id=data["id"].map(dict(enumerate(names)))), family, at)[names], by_cluster(data, family, at))


@of_families
@several
@given(seed=seeds, order=st.permutations(["p", "q", "r"]))
def test_the_names_of_levels(family, seed, order):
    data, at = table(seed, family), point(seed, family)
    names = dict(zip("abc", order, strict=True))
    levels = pd.Categorical(data["g"].map(names), categories=order)  # the first is the reference still
    beta = {**at.beta, f"g[T.{order[1]}]": at.beta["g[T.b]"], f"g[T.{order[2]}]": at.beta["g[T.c]"]}
    same(value(data.assign(g=levels), family, at._replace(beta=beta)), value(data, family, at))


@of_families
@several
@given(seed=seeds, reference=st.sampled_from("abc"))
def test_the_coding_of_a_factor(family, seed, reference):
    data, at = table(seed, family), point(seed, family)
    means = {level: at.beta["Intercept"] + at.beta.get(f"g[T.{level}]", 0.0) for level in "abc"}
    treatment = f"C(g, Treatment('{reference}'))"
    beta = at.beta | {f"{treatment}[T.{level}]": mean - means[reference] for level, mean in means.items()} | {"Intercept": means[reference]}
    whole = value(data, family, at)
    same(value(data, family, at._replace(beta=beta), f"x + z + {treatment}"), whole)
    beta = at.beta | {f"g[{level}]": mean for level, mean in means.items()}
    same(value(data, family, at._replace(beta=beta), "0 + x + z + g"), whole)


@of_families
@several
@given(seed=seeds, terms=st.permutations(["x", "z", "g"]))
def test_the_order_of_columns(family, seed, terms):
    data, at = table(seed, family), point(seed, family)
    same(value(data, family, at, " + ".join(terms)), value(data, family, at))


@of_families
@several
@given(seed=seeds, shift=numbers, log_scale=logarithms)
def test_shift_and_scale_of_a_covariate(family, seed, shift, log_scale):
    data, at, scale = table(seed, family), point(seed, family), np.exp(log_scale)
    slope = at.beta["x"] / scale
    beta = {**at.beta, "x": slope, "Intercept": at.beta["Intercept"] - slope * shift}
    same(value(data.assign(x=scale * data["x"] + shift), family, at._replace(beta=beta)), value(data, family, at))


@of_families
@several
@given(seed=seeds, log_scale=logarithms)
def test_scale_of_a_covariate_with_a_random_slope(family, seed, log_scale):
    data, at, scale = table(seed, family), point(seed, family, q=2), np.exp(log_scale)
    scaled = at._replace(beta={**at.beta, "x": at.beta["x"] / scale}, chol=np.diag([1.0, 1 / scale]) @ at.chol)
    same(value(data.assign(x=scale * data["x"]), family, scaled, random="~ x | id"), value(data, family, at, random="~ x | id"))


@of_families
@several
@given(seed=seeds)
def test_an_offset_is_a_term_with_a_fixed_coefficient(family, seed):
    data, at = table(seed, family), point(seed, family)
    same(value(data, family, at, "z + g", offset=at.beta["x"] * data["x"]), value(data, family, at))


@of_families
@several
@given(seed=seeds, weights=st.permutations([1, 1, 1, 1, 2, 2, 3, 3]))
def test_a_weight_is_a_number_of_equal_clusters(family, seed, weights):
    data, at = table(seed, family), point(seed, family)
    repeats = [data[data["id"] == k].assign(id=f"{k} {copy}") for k, weight in enumerate(weights) for copy in range(weight)]
    same(value(pd.concat(repeats), family, at), value(data, family, at, weights=np.array(weights, float)))


@of_families
@several
@given(seed=seeds, other=seeds)
def test_data_sets_side_by_side(family, seed, other):
    one, two, at = table(seed, family), table(other, family, first=len(SIZES)), point(seed, family)
    same(value(pd.concat([one, two]), family, at), value(one, family, at) + value(two, family, at))


@several
@given(seed=seeds)
def test_cells_are_their_bernoulli_rows_and_a_constant(seed):
    data, at = table(seed, "binomial"), point(seed, "binomial")
    rows = [data.assign(y=1, f=0, copy=data["y"]), data.assign(y=0, f=1, copy=data["f"])]
    single = pd.concat([part.loc[part.index.repeat(part["copy"])] for part in rows])
    y, f = data["y"].to_numpy(), data["f"].to_numpy()
    constant = -(np.log1p(y + f) + scipy.special.betaln(y + 1, f + 1)).sum()  # log of the binomial coefficients
    same(value(single, "binomial", at) + constant, value(data, "binomial", at))


@several
@given(seed=seeds, log_scale=logarithms)
def test_the_unit_of_a_normal_outcome(seed, log_scale):
    data, at, scale = table(seed, "gaussian"), point(seed, "gaussian"), np.exp(log_scale)
    beta = {name: scale * coefficient for name, coefficient in at.beta.items()}
    scaled = at._replace(beta=beta, chol=scale * at.chol, phi=at.phi + log_scale)
    same(value(data.assign(y=scale * data["y"]), "gaussian", scaled) + len(data) * log_scale, value(data, "gaussian", at))
