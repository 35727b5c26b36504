"""``ns``, ``poly``, ``scale``, ``log`` and ``factor`` give what R 4.2.2 prints, and new rows keep what the rows fitted have taught."""

import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design import make_design
from glmmjax.design.formula.transforms import TRANSFORMS
from glmmjax.design.new_rows import read_new_rows
from glmmjax.errors import FormulaError
from tests.design.unpack import fixed

X = [1, 2, 3.5, 4, 6, 7, 7.5, 9, 10, 12]

# Rscript -e 'x <- c(1,2,3.5,4,6,7,7.5,9,10,12); options(digits=10); f <- splines::ns(x, 3); f; predict(f, c(0,5,14))'
NS = [
    (0.0, 0.0, 0.0),
    (-0.08032665833, 0.2360796194, -0.1510909564),
    (-0.10824436192, 0.5030227354, -0.3219345507),
    (-0.07170494155, 0.5488307428, -0.3512516754),
    (0.28462443915, 0.5000858486, -0.2971978003),
    (0.45880024474, 0.4156148158, -0.1888506250),
    (0.51086684931, 0.3792208731, -0.1202013588),
    (0.47222727621, 0.3321969600, 0.1273939456),
    (0.31871337175, 0.3425189730, 0.3185656351),
    (-0.14968814969, 0.4158004158, 0.7338877339),
]
NS_NEW = [
    (0.08737978473, -0.2427216242, 0.1553418395),
    (0.08186627073, 0.5603892302, -0.3557919645),
    (-0.66112266112, 0.5031185031, 1.1580041580),
]
# splines::ns(x, 4, intercept=TRUE)[c(1, 5), ]
NS_INTERCEPT = [(-0.2521988110, -0.2317396564, 0.6437212679, -0.41198161145), (0.4724970421, 0.3997129432, 0.1803955597, -0.09259601537)]
# p <- poly(x, 3); p[c(1, 5, 10), ]; predict(p, c(0, 5, 14))
POLY = [
    (-0.48469181051, 0.4886878761, -0.4569555063),
    (-0.01864199271, -0.3308156213, 0.1289227766),
    (0.54061778864, 0.5979172526, 0.4225161589),
]
POLY_NEW = [
    (-0.5779017741, 0.8264192183, -1.3102319971),
    (-0.1118519563, -0.2828020170, 0.3083484687),
    (0.7270377158, 1.3710432580, 2.4400958798),
]
# scale(x)[c(1, 10)]; scale(x, center=FALSE)[c(1, 10)]
SCALE, SCALE_ABOUT_0 = [-1.454075432, 1.621853366], [0.134231211, 1.610774533]


@pytest.fixture
def ten():
    return pd.DataFrame({"x": X, "y": np.arange(10) % 3 / 2, "id": np.arange(10) // 2, "k": np.arange(10) % 3, "t": list("ab") * 5})


def design_of(terms, frame):
    return make_design(f"y ~ {terms}", "~ 1 | id", data=frame, family="gaussian")


def columns(terms, frame):
    """The columns after the intercept, and those of the new rows 0, 5 and 14."""
    design = design_of(terms, frame)
    new = read_new_rows(design, pd.DataFrame({"x": [0.0, 5.0, 14.0]}))
    return fixed(design)[:, 1:], new.X[0].T[:, 1:]


def test_ns_is_that_of_r(ten):
    values, new = columns("ns(x, 3)", ten)
    np.testing.assert_allclose(values, NS, atol=5e-11)
    np.testing.assert_allclose(new, NS_NEW, atol=5e-11)
    same, _ = columns("ns(x, knots=[4.0, 7.5])", ten)
    np.testing.assert_allclose(same, values, atol=1e-14)
    whole = fixed(design_of("0 + ns(x, df=4, intercept=True)", ten))
    np.testing.assert_allclose(whole[[0, 4]], NS_INTERCEPT, atol=5e-11)


def test_ns_goes_on_as_a_line_beyond_its_boundary(ten):
    design = design_of("ns(x, df=3, boundary_knots=[3, 10])", ten)
    new = read_new_rows(design, pd.DataFrame({"x": [0.0, 1, 2, 11, 13, 15]})).X[0].T
    np.testing.assert_allclose(np.diff(new[:3], n=2, axis=0), 0.0, atol=1e-13)
    np.testing.assert_allclose(np.diff(new[3:], n=2, axis=0), 0.0, atol=1e-13)


def test_poly_is_that_of_r(ten):
    values, new = columns("poly(x, 3)", ten)
    np.testing.assert_allclose(values[[0, 4, 9]], POLY, atol=5e-11)
    np.testing.assert_allclose(new, POLY_NEW, atol=5e-11)
    np.testing.assert_allclose(values.T @ values, np.eye(3), atol=1e-14)
    raw, _ = columns("poly(x, 2, raw=True)", ten)
    np.testing.assert_array_equal(raw, np.column_stack([X, np.square(X)]))


def test_scale_is_that_of_r(ten):
    values, new = columns("scale(x)", ten)
    np.testing.assert_allclose(values[[0, 9], 0], SCALE, atol=5e-10)
    np.testing.assert_allclose(new[:, 0], (np.array([0, 5, 14]) - 6.2) / np.std(X, ddof=1))
    np.testing.assert_allclose(columns("scale(x, center=False)", ten)[0][[0, 9], 0], SCALE_ABOUT_0, atol=5e-10)
    np.testing.assert_allclose(columns("scale(x, scale=False)", ten)[0][:, 0], np.subtract(X, 6.2))


def test_functions_of_one_value(ten):
    terms = ["log(x)", "log(x, 2)", "exp(x)", "sqrt(x)", "log10(x)", "log1p(x)"]
    for term, expected in zip(terms, (np.log(X), np.log2(X), np.exp(X), np.sqrt(X), np.log10(X), np.log1p(X)), strict=True):
        np.testing.assert_allclose(fixed(design_of(term, ten))[:, 1], expected, rtol=1e-15, err_msg=term)


def test_functions_of_the_module_math_do_not_stand_in_the_way(ten):
    log, sqrt = math.log, math.sqrt  # as `from math import log, sqrt` leaves them, and they take one number only
    design = make_design("y ~ log(x) + sqrt(x)", "~ 1 | id", data=ten, family="gaussian")
    np.testing.assert_array_equal(fixed(design)[:, 1:], np.column_stack([np.log(X), np.sqrt(X)]))
    assert log(1) == sqrt(0) == 0


def test_a_function_of_the_caller_comes_first(ten):
    def scale(values):
        return values * 10

    assert scale(1) == 10
    design = make_design("y ~ scale(x)", "~ 1 | id", data=ten, family="gaussian")
    np.testing.assert_array_equal(fixed(design)[:, 1], np.multiply(X, 10.0))


@pytest.mark.parametrize("levels", [[2, 0, 1], ["2", "0", "1"]])
def test_levels_of_factor_are_values_or_their_texts(ten, levels):
    for frame in (ten, ten.assign(k=ten["k"].astype(float)), ten.assign(k=ten["k"].astype(str))):
        if frame["k"].dtype == object and levels[0] == 2:
            levels = [str(level) for level in levels]
        found = fixed(make_design(f"y ~ factor(k, levels={levels})", "~ 1 | id", data=frame, family="gaussian"))
        np.testing.assert_array_equal(found[:, 1:], np.column_stack([ten["k"] == 0, ten["k"] == 1]))


def test_labels_of_factor(ten):
    design = design_of("factor(k, levels=[0, 1, 2], labels=['none', 'low', 'high'])", ten)
    assert [name.rpartition("[")[2] for name in design.fixed_names[1:]] == ["T.low]", "T.high]"]
    assert design_of("factor(k)", ten).fixed_names[1:] == ("factor(k)[T.1]", "factor(k)[T.2]")


@pytest.mark.parametrize(
    ("terms", "match"),
    [
        ("ns(x, 0)", "ns: df is 0, and must be a whole number of at least 1"),
        ("ns(k, 5)", r"ns: the knots .* are not distinct, .* take a smaller df, or give knots=\[...\]"),
        ("ns(x, 2000)", "a spline of 2,000 columns, and at most 1000 are allowed"),
        ("ns(log(x - 1), 2)", "ns: a value is -inf, and all must be finite"),
        ("ns(t, 2)", "ns: it takes one column of numbers, and this has values such as 'a'"),
        ("poly(k, 3)", "poly: degree 3 needs more than 3 distinct values"),
        ("poly(x, 1.5)", "poly: degree is 1.5, and must be a whole number"),
        ("factor(k, levels=[0, 1])", r"factor: the value 2 is none of the levels \[0, 1\]"),
        ("factor(k, labels=['a', 'b', 'c'])", "needs levels=..., which say what is renamed"),
        ("factor(k, levels=[0, 1, 2], labels=['a'])", "1 labels were given for 3 levels"),
        ("factor(k, levels=3)", "factor: levels are 3, and must be a list of values"),
        ("factor(k, levels='012')", "factor: levels are '012', and must be a list of values"),
        ("factor(k, levels=[0, 1, 2, 2])", "factor: a level stands twice in"),
        ("poly()", r"poly: it takes one column of numbers, poly\(x\)"),
        ("ns()", r"ns: it takes one column of numbers, ns\(x\)"),
        ("scale()", r"scale: it takes one column of numbers, scale\(x\)"),
        ("scale(t)", "scale: it takes one column of numbers, and this has values such as 'a'"),
        ("poly(x, True)", "poly: degree is True, and must be a whole number"),
        ("ns(x, 'a')", "ns: df is 'a', and must be a whole number"),
        ("ns(x, knots='a')", "ns: knots are 'a', and must be numbers"),
        ("ns(x, 2, boundary_knots=[1])", r"ns: boundary_knots are \[1\], and must be two numbers"),
        ("poly(ns(x, 2), 2)", r"poly: it takes one column of numbers, and this has shape \(10, 2\)"),
    ],
)
def test_what_they_refuse(ten, terms, match):
    with pytest.raises(FormulaError, match=match):
        design_of(terms, ten)


def test_a_column_with_the_name_of_a_function_that_is_called(ten):
    with pytest.raises(FormulaError, match="a column has the name of the function that is called: rename the column"):
        design_of("log + log(x)", ten.assign(log=ten["x"]))
    assert design_of("log", ten.assign(log=ten["x"])).fixed_names[1:] == ("log",)


def test_a_stream_takes_scale_and_refuses_what_needs_all_rows(ten):
    data = gj.stream([ten[:4], ten[4:]])
    for terms in ("ns(x, 3)", "poly(x, 2)"):
        with pytest.raises(FormulaError, match=r"takes its knots from all rows at once, which a stream does not hold"):
            gj.mixed_model(f"y ~ {terms}", random="~ 1 | id", data=data, family="gaussian")


def test_means_of_two_parts_are_those_of_the_whole():
    scale: Any = TRANSFORMS["scale"]
    parts, whole = (scale.__patsy_stateful_transform__() for _ in range(2))
    for part in (X[:3], [], X[3:]):
        parts.memorize_chunk(np.array(part))
    whole.memorize_chunk(np.array(X))
    np.testing.assert_allclose(list(vars(parts).values()), list(vars(whole).values()), rtol=1e-14)


def test_saved_and_pickled_fits_keep_knots_and_means(as_if_fitted, tmp_path):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.gamma(2.0, size=60), "id": np.repeat(np.arange(12), 5), "y": rng.normal(size=60)})
    frame["z"] = rng.normal(size=60)
    fit = as_if_fitted("y ~ ns(x, 3) + poly(z, 2) + scale(log(x))", random="~ 1 | id", data=frame, family="gaussian")
    new = pd.DataFrame({"x": [0.1, 2.0, 9.0], "z": [0.0, 1.0, 2.0], "id": 0})
    fit.save(tmp_path / "fit")
    for other in (gj.load(tmp_path / "fit"), pickle.loads(pickle.dumps(fit))):
        np.testing.assert_allclose(other.predict(new), fit.predict(new), rtol=1e-12)
