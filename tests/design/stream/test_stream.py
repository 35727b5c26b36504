"""Fits of streams: equal to fits in memory however the rows are cut, and every refusal by its text."""

import builtins
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design import ModelArguments, streamed_design
from glmmjax.design.layout.block_files import lay_out_clusters
from glmmjax.errors import ArgumentError, DesignError, DesignWarning, FormulaError, OutcomeError, RowsNotKeptError
from glmmjax.estimation.evaluators.disk import Disk
from glmmjax.estimation.objective import Integral, fit_settings
from glmmjax.estimation.xla.programs import programs
from glmmjax.families import resolve_family
from glmmjax.likelihood.gauss_hermite import padded_rule

MODEL: dict[str, Any] = {"fixed": "y ~ x + site", "random": "~ 1 | id", "family": "binomial", "weights": "w", "offset": "o"}
SMALL = gj.Options(max_block_rows=64, quasi_newton_gain=1e-11)


@pytest.fixture(scope="module")
def data():
    """Clusters of 1 to 12 rows; every site in a part of the clusters only; missing values."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 13, 150)
    cluster = np.repeat(np.arange(150), sizes)
    x, b = rng.normal(size=len(cluster)), rng.normal(size=150)
    y = (rng.uniform(size=len(x)) < 1 / (1 + np.exp(-0.3 - 0.7 * x - b[cluster]))).astype(int)
    frame = pd.DataFrame({"id": cluster * 7 % 151, "x": x, "site": np.array(["b", "a", "c"])[cluster // 50], "y": y})
    frame = frame.assign(w=1.0 + frame["id"] % 3, o=0.1 * x, count=rng.poisson(2, len(x)), text=np.where(y == 1, "yes", "no"))
    frame.loc[[4, 100, 333], "x"] = np.nan
    return frame


@pytest.fixture(scope="module")
def in_memory(data):
    return gj.mixed_model(**MODEL, data=data, options=gj.Options(quasi_newton_gain=1e-11))


def cut(data, rows):
    return [data.iloc[first : first + rows] for first in range(0, len(data), rows)]


@pytest.fixture(scope="module")
def streamed(data):
    """From frames that cut clusters in two and that lack levels, in chunks of a tenth of the rows."""
    return gj.mixed_model(**MODEL, data=gj.stream(lambda: iter(cut(data, 37)), chunk_rows=100), options=SMALL)


def assert_same(a, b):
    """The same maximum to the precision at which a fit stops, some 1e-6 standard errors."""
    assert a.converged
    assert a.llf == pytest.approx(b.llf, rel=1e-12)
    np.testing.assert_allclose(a.fe_params, b.fe_params, rtol=0, atol=1e-6 * b.bse_fe.min())
    np.testing.assert_allclose(a.bse_fe, b.bse_fe, rtol=1e-6)
    np.testing.assert_allclose(a.cov_re, b.cov_re, rtol=1e-6)
    pd.testing.assert_frame_equal(a.random_effects, b.random_effects, rtol=1e-6, atol=1e-6)


# equal to a fit in memory


def test_a_streamed_fit_equals_the_fit_in_memory(streamed, in_memory):
    assert_same(streamed, in_memory)
    assert list(streamed.fe_params.index) == list(in_memory.fe_params.index)
    assert (streamed.nobs, streamed.n_groups) == (in_memory.nobs, in_memory.n_groups)
    assert (streamed.aic, streamed.bic) == pytest.approx((in_memory.aic, in_memory.bic))
    assert streamed.convergence.n_on_sample > 0
    assert "Rows dropped for missing values: 3" in str(streamed.summary())


def test_the_likelihood_of_chunks_equals_that_of_all_clusters(data, in_memory):
    fitted = in_memory.fitted_model
    source = gj.stream(cut(data, 37), chunk_rows=100)
    given = ModelArguments(MODEL["fixed"], MODEL["random"], source, gj.families.Binomial(), "w", offset="o")
    with jax.enable_x64(True), streamed_design(given, {}, SMALL) as (design, files):
        assert files.n_chunks > 5
        rule = padded_rule(fitted.n_agq, 1)
        likelihood = Disk(fit_settings(fitted.problem, SMALL), Integral(files.sample(), rule), programs(is_small=False), files)
        at, hessian = likelihood.evaluate_with_hessian(fitted.theta, rule)
        likelihood.keep()
        again = likelihood.evaluate(fitted.theta, rule)
        likelihood.close()
        (modes,) = [bucket.swapaxes(1, 2).reshape(-1, 1) for bucket in likelihood.modes()]
    assert float(at.log_likelihood) == pytest.approx(fitted.log_likelihood, rel=1e-13)
    assert float(again.log_likelihood) == pytest.approx(fitted.log_likelihood, rel=1e-13)
    assert np.abs(at.gradient).max() < 1e-3
    np.testing.assert_allclose(hessian, -fitted.information, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(modes[design.rows.slots], fitted.modes, rtol=1e-8, atol=1e-8)


def test_a_parquet_file_gives_the_same_fit(data, in_memory, tmp_path):
    pytest.importorskip("pyarrow")
    data.to_parquet(tmp_path / "rows.parquet", row_group_size=300)
    fit = gj.mixed_model(**MODEL, data=gj.stream(tmp_path / "rows.parquet", chunk_rows=100, folder=tmp_path), options=SMALL)
    assert_same(fit, in_memory)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]  # the blocks are gone


def test_a_refit_reads_the_stream_again(streamed, in_memory):
    again = streamed.update(n_agq="auto")
    assert again.llf == pytest.approx(in_memory.llf, abs=1e-3)
    assert again.convergence.n_on_sample == 0


def test_what_needs_rows_says_so(streamed):
    with pytest.raises(RowsNotKeptError, match=r"whose rows are not kept, .* initial_values=fit.params"):
        _ = streamed.random_effects_cov


def test_anova_of_streams_compares_digests_and_names(data, streamed, in_memory):
    source = gj.stream(cut(data, 200), chunk_rows=100)
    without = gj.mixed_model(**{**MODEL, "fixed": "y ~ 1", "data": gj.stream([data.dropna()], chunk_rows=100)}, options=SMALL)
    found = gj.anova(without, streamed)
    assert found.statistic == pytest.approx(2 * (streamed.llf - without.llf))
    assert gj.anova(in_memory, without).statistic == pytest.approx(found.statistic)
    with pytest.raises(ArgumentError, match="different cluster weights"):
        gj.anova(streamed, gj.mixed_model(**{**MODEL, "weights": None, "data": source}, options=SMALL))


# the design, without a fit


def design_of(frames, fixed, random="~ 1 | id", family="binomial", weights=None, offset=None, chunk_rows=100, env=None):
    """(design, all buckets as read from disk) of a stream."""
    given = ModelArguments(fixed, random, gj.stream(frames, chunk_rows=chunk_rows), resolve_family(family), weights, offset=offset)
    with streamed_design(given, env or {}, SMALL) as (design, files):
        chunks = [files.read(chunk) for chunk in range(files.n_chunks)]
        bounds = [files.bounds(chunk) for chunk in range(files.n_chunks)]
        whole = [
            {name: np.concatenate([_leaf(chunk[k], name)[: bound[k][1] - bound[k][0]] for chunk, bound in zip(chunks, bounds, strict=True)])
             for name in ("y", "X", "Z", "row_weight", "cluster_weight")}
            for k in range(len(chunks[0]))
        ]  # fmt: skip
        return design, whole, files.sample()


def _leaf(bucket, name):
    leaf = getattr(bucket, name)
    return leaf[0] if isinstance(leaf, tuple) else leaf


def fixed_columns(design, buckets):
    """X of all real rows of all clusters, one after the other."""
    rows = []
    for slot in design.rows.slots:
        for bucket in buckets:
            n_blocks, n_lanes = bucket["cluster_weight"].shape
            if slot < n_blocks * n_lanes:
                block, lane = divmod(slot, n_lanes)
                rows.append(bucket["X"][block, :, bucket["row_weight"][block, :, lane] > 0, lane])
                break
            slot -= n_blocks * n_lanes
    return np.concatenate(rows)


@pytest.mark.parametrize(
    "fixed",
    [
        "y ~ x * site",
        "y ~ standardize(x) + center(w):site",
        "y ~ C(count) + C(site, Treatment('c'))",
        "text ~ site:x - 1",
        "I(count > 2) ~ x",
    ],
)
def test_matrices_are_those_of_all_rows(data, fixed):
    design, buckets, _ = design_of(cut(data, 37), fixed)
    whole = gj.make_design(fixed, "~ 1 | id", data=data, family="binomial")
    (bucket,) = [{"X": np.asarray(b.X[0]), "row_weight": np.asarray(b.row_weight), "cluster_weight": np.asarray(b.cluster_weight)}
                 for b in whole.clusters.buckets]  # fmt: skip
    assert design.fixed_names == whole.fixed_names
    assert design.success_level == whole.success_level
    np.testing.assert_allclose(fixed_columns(design, buckets), fixed_columns(whole, [bucket]), rtol=1e-6, atol=1e-6)


def test_categories_keep_their_order_and_lose_unused_levels(data):
    kind = pd.CategoricalDtype(["c", "unused", "b", "a"])
    design, _, _ = design_of([frame.astype({"site": kind}) for frame in cut(data, 50)], "y ~ site")
    assert design.fixed_names == ("Intercept", "site[T.b]", "site[T.a]")


def test_a_cluster_larger_than_a_chunk_and_chunks_without_a_complete_row(data):
    frames = cut(data.assign(id=np.arange(len(data)) // 400), 10)
    frames[2] = frames[2].assign(x=np.nan)
    design, buckets, _ = design_of(frames, "y ~ x", chunk_rows=30)
    assert design.cluster_sizes.sum() == len(design.row_labels)
    assert design.n_dropped == int(pd.concat(frames)["x"].isna().sum())
    assert len(fixed_columns(design, buckets)) == len(data) - design.n_dropped


def test_without_random_effects_every_row_is_a_cluster(data):
    design, buckets, _ = design_of(cut(data, 37), "y ~ x", random=None)
    assert len(design.groups) == len(design.row_labels) == len(fixed_columns(design, buckets))


def test_a_sample_is_spread_over_the_file(data):
    _, _, sample = design_of([data], "y ~ x + site", chunk_rows=400)
    assert {tuple(row) for bucket in sample for row in np.moveaxis(bucket.X[0], 1, -1)[..., 1:3].reshape(-1, 2)} == {(0, 0), (1, 0), (0, 1)}


def test_chunks_are_of_a_size_and_lose_no_block():
    layout = lay_out_clusters(np.random.default_rng(0).integers(1, 400, 20_000), 2048, 100_000)
    rows = [n * lanes * width for n, lanes, width in zip(layout.chunk_blocks, layout.n_lanes, layout.widths, strict=True)]
    assert sum(rows) < 130_000
    assert len(np.unique(layout.slots)) == 20_000


# refusals


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("nowhere.parquet", r"stream\('nowhere.parquet'\): there is no such file; the source is the path of a Parquet file"),
        (iter([pd.DataFrame()]), "of a list_iterator, which can be read only once, .*: pass a function that returns a fresh one"),
        (pd.DataFrame({"y": [1]}), "of a DataFrame, which is in memory already: pass data=frame"),
        (3, "of a int; the source must be the path of a Parquet file, a list of DataFrames, or a function"),
    ],
)
def test_a_source_that_cannot_be_read(source, match):
    with pytest.raises(ArgumentError, match=match):
        gj.stream(source)


def test_settings_of_a_stream_are_checked():
    with pytest.raises(ArgumentError, match=r"chunk_rows=0 must be a whole number >= 1"):
        gj.stream([], chunk_rows=0)
    with pytest.raises(ArgumentError, match=r"stream\(folder='nowhere'\) must be a folder that exists"):
        gj.stream([], folder="nowhere")


def test_a_file_that_is_no_parquet_and_a_missing_library(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    path.write_text("id,y\n1,0\n")
    pytest.importorskip("pyarrow")
    with pytest.raises(ArgumentError, match="is no Parquet file"):
        design_of(path, "y ~ x")
    import_module = builtins.__import__

    def without_pyarrow(name, *arguments):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return import_module(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ArgumentError, match=r"needs pyarrow to read Parquet: pip install 'glmmjax\[parquet\]'"):
        design_of(path, "y ~ x")


def once(frames):
    """A function that gives the same iterator at every call."""
    rows = iter(frames)
    return lambda: rows


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: [], DesignError, "no rows to fit: the source of the stream gives no DataFrame"),
        (lambda d: [d.iloc[:0]], DesignError, "no rows to fit: the stream has columns, and not one row"),
        (lambda d: [d.assign(x=np.nan)], DesignError, "each of the .* rows has a missing value in one of 'y', 'x', 'id'"),
        (lambda d: [d, d.drop(columns="x")], DesignError, "frame 1 of the stream has no column 'x'"),
        (lambda d: [d, 3], ArgumentError, "gives a int as its item 1, and must give DataFrames"),
        (lambda d: lambda: d, ArgumentError, "gives a DataFrame, and must give an iterator of DataFrames"),
        (lambda d: [d, d], DesignError, "the rows of cluster 0 do not follow one another: a stream must be sorted by 'id'"),
        (lambda d: [d.sample(frac=1, random_state=1)], DesignError, "do not follow one another"),
        (lambda d: [d.iloc[:100].assign(x="a"), d.iloc[100:]], DesignError, "'x' of the stream holds text or categories in some frames"),
        (lambda d: once(cut(d, 50)), DesignError, "gave other rows when it was read again"),
        (lambda d: [d.assign(x=1.0)], DesignError, "rank 1: 'x' follows from 'Intercept'"),
        (lambda d: [d.assign(y=1)], OutcomeError, "every outcome is 1"),
        (lambda d: [d.assign(y="no")], OutcomeError, "every outcome is 'no'"),
        (lambda d: [d.assign(y=d["y"] + (d.index == 60))], OutcomeError, "the outcome 'y' is 2 in row 60"),
    ],
)
def test_rows_that_give_no_model(data, change, error, match):
    complete = data.dropna().reset_index(drop=True)
    complete.loc[60, "y"] = 1
    with pytest.raises(error, match=match):
        design_of(change(complete), "y ~ x")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"fixed": "y ~ bs(x, df=4)"}, FormulaError, r"bs\(\.\.\.\) takes its knots from all rows at once"),
        ({"fixed": "y ~ I(x - np.mean(x))"}, FormulaError, "a row's value depends on other rows .*use center"),
        ({"fixed": "y ~ other", "env": {"other": np.ones(5)}}, FormulaError, "'other' is no column of the stream but a variable"),
        ({"fixed": "y ~ xx"}, FormulaError, "names 'xx', and data have no such column: did you mean 'x'"),
        ({"fixed": "np.where(x > 0, 'a', 'b') ~ site"}, FormulaError, "gives text, whose levels a part of the rows does not show"),
        ({"fixed": "y ~ x", "random": "~ 1 | idd"}, FormulaError, "'idd', and data have no such column: did you mean 'id'"),
        ({"fixed": "y ~ x", "weights": [1.0]}, ArgumentError, "weights must be the name of a column when data are a stream, not a list"),
        ({"fixed": "y ~ x", "offset": "off"}, DesignError, "offset='off' names 'off', and data have no such column"),
        ({"fixed": "y ~ x", "weights": "x"}, DesignError, "weights='x' is .* in cluster"),
    ],
)
def test_models_that_a_stream_does_not_take(data, arguments, error, match):
    with pytest.raises(error, match=match):
        design_of([data], **arguments)


def test_zero_weights_in_some_chunks_only_are_weights(data):
    design_of(cut(data.assign(w=(data["id"] > 75) * 1.0), 37), "y ~ x", weights="w")
    with pytest.raises(DesignError, match="weights is 0 for every cluster"):
        design_of(cut(data.assign(w=0.0), 37), "y ~ x", weights="w")


def test_one_cluster_is_worth_a_warning(data):
    with pytest.warns(DesignWarning, match="has one value only"):
        design_of([data.assign(id=1)], "y ~ x")


def test_devices_are_refused(data):
    with pytest.raises(ArgumentError, match="devices='cpu' is for data in memory"):
        gj.mixed_model("y ~ x", "~ 1 | id", data=gj.stream([data]), family="binomial", devices="cpu")
