"""``fit_many`` against ``mixed_model``, one fit after the other."""

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, ConvergenceWarning, DesignError, OutcomeError, RowsNotKeptError
from tests.many.outcomes import K, M, design_rows, outcomes

pytestmark = [
    pytest.mark.usefixtures("compile_quickly"),
    pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning"),
]
MODEL: dict[str, Any] = {"random": "~ 1 | g", "family": "poisson"}


def with_bad_outcomes() -> pd.DataFrame:
    """Twelve good outcomes, of which one misses some rows and a cluster, and bad ones."""
    counts = outcomes("poisson", 12)
    counts.loc[::4, "gene3"] = np.nan
    counts.loc[: K - 1, "gene3"] = np.nan
    bad = {"zero": 0.0, "missing": np.nan, "negative": -1.0, "infinite": np.inf, "text": "a"}
    return counts.assign(**bad, constant=3.0)


def single(column, data, **model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gj.mixed_model("y ~ x", data=data.assign(y=column), **{**MODEL, **model})


def assert_same(many, k, fit, bound=1e-6):
    """A fit of the batch is the ordinary one."""
    assert many.code.iloc[k] == fit.convergence.code.name
    np.testing.assert_allclose(many.fe_params.iloc[k], fit.fe_params, rtol=0, atol=bound)
    np.testing.assert_allclose(many.llf.iloc[k], fit.llf, rtol=0, atol=2e-8)
    np.testing.assert_allclose(many.cov_re.iloc[k], fit.cov_re.to_numpy().ravel(), rtol=0, atol=bound)
    np.testing.assert_allclose(many.bse_fe.iloc[k], fit.bse_fe, rtol=1e-6)
    np.testing.assert_allclose(many.phi.iloc[k], fit.phi, rtol=1e-6)
    np.testing.assert_allclose(many.quadrature_error.iloc[k], fit.convergence.quadrature_error, rtol=1e-3, atol=1e-9)
    assert many.nobs.iloc[k] == fit.nobs


@pytest.fixture(scope="module")
def many():
    return gj.fit_many("~ x", data=design_rows(), outcomes=with_bad_outcomes(), **MODEL)


def test_every_fit_is_the_ordinary_one(many):
    data, counts = design_rows(), with_bad_outcomes()
    for k in (0, 1, 3, 11):
        assert_same(many, k, single(counts.iloc[:, k], data))
    assert many.code["gene11"] == "CONVERGED_ON_BOUNDARY"  # which has no effect of the cluster
    assert many.fitted_many.n_groups[3] == M - 1
    everything = single(counts["gene0"], data).tidy(effects="all")
    np.testing.assert_allclose(many.tidy("all", adjust="none")["std.error"][: len(everything)], everything["std.error"], rtol=1e-6)


def test_a_bad_outcome_has_a_code_and_a_text_and_stops_no_other(many):
    assert many.converged[:12].all()
    assert many.code["zero"] == "DIVERGING"
    refused = many.message[many.code == "NOT_FITTED"]
    assert list(refused.index) == ["missing", "negative", "infinite", "text"]
    for name, word in zip(refused.index, ("missing in every row", "-1", "inf", "levels"), strict=True):
        assert name in refused[name]
        assert word in refused[name]
    assert many.converged["constant"]  # counts without any variance have a Poisson fit
    assert many.fe_params.loc[refused.index].isna().all(axis=None)
    tests = many.tidy()
    assert tests.loc[~tests["converged"], ["std.error", "p.value", "p.adjusted"]].isna().all(axis=None)
    assert set(many.summary().tables["ends"].index) == {"CONVERGED", "CONVERGED_ON_BOUNDARY", "DIVERGING", "NOT_FITTED"}
    with pytest.raises(OutcomeError, match="-1"):
        many["negative"]


def test_a_fit_opens_as_an_ordinary_one(many):
    fit = many["gene3"]
    assert fit.llf == pytest.approx(many.llf["gene3"], abs=2e-8)
    assert fit.nobs == many.nobs["gene3"] == with_bad_outcomes()["gene3"].notna().sum()
    assert fit.random_effects.shape == (M - 1, 1)
    assert many.nth(3).llf == pytest.approx(fit.llf, abs=1e-9)
    with pytest.raises(ArgumentError, match="name of no fit"):
        many["nosuch"]
    with pytest.raises(ArgumentError, match="beyond the last"):
        many.nth(99)


def test_hypotheses_are_tested_as_in_a_single_fit(many):
    found = many.wald_test("x = 0.4", adjust="bonferroni")
    fit = single(with_bad_outcomes()["gene0"], design_rows())
    test = fit.wald_test("x = 0.4")
    assert found["statistic"].iloc[0] == pytest.approx(test.statistic, rel=1e-6)
    assert found["p_value"].iloc[0] == pytest.approx(test.p_value, rel=1e-6)
    counted = found["p_value"].notna().sum()
    assert counted == many.converged.sum()
    np.testing.assert_allclose(found["p_adjusted"], np.minimum(counted * found["p_value"], 1.0))


@pytest.mark.slow
def test_models_of_other_outcomes_are_not_compared():
    """Of the same names, and with as many rows."""
    data, counts = design_rows(), outcomes("poisson", 2)
    larger, smaller = (gj.fit_many(fixed, None, data=data, outcomes=counts, family="poisson") for fixed in ("~ x", "~ 1"))
    found = gj.anova(smaller, larger, adjust="holm")
    pd.testing.assert_frame_equal(found, larger.anova(smaller, adjust="holm"))
    assert list(found["df"]) == [1, 1]
    single_test = gj.anova(smaller["gene1"], larger["gene1"])
    assert found["statistic"].iloc[1] == pytest.approx(single_test.statistic, abs=1e-7)
    assert found["p_value"].iloc[1] == pytest.approx(single_test.p_value, rel=1e-6)
    pd.testing.assert_frame_equal(gj.anova(smaller, larger), larger.anova(smaller))
    cases: Any = (
        ({"fit0": smaller["gene0"], "fit1": larger}, "both be single fits, or both many"),
        ({"fit0": smaller, "fit1": larger, "null": "simulated"}, "null='simulated' is for two single fits"),
        ({"fit0": smaller["gene0"], "fit1": larger["gene0"], "adjust": "holm"}, "adjust='holm' is for many fits"),
    )
    for arguments, words in cases:
        with pytest.raises(ArgumentError, match=words):
            gj.anova(**arguments)
    upside_down = counts.iloc[::-1].reset_index(drop=True)
    other = gj.fit_many("~ 1", None, data=data, outcomes=upside_down, family="poisson")
    with pytest.raises(ArgumentError, match="of other outcomes"):
        larger.anova(other)


@pytest.mark.slow
def test_models_are_compared_as_single_fits_are(many):
    smaller = gj.fit_many("~ x", None, data=design_rows(), outcomes=with_bad_outcomes(), family="poisson")
    found = many.anova(smaller, boundary=True, adjust="none")
    fit = single(with_bad_outcomes()["gene0"], design_rows())
    test = gj.anova(fit.update(random=None), fit, boundary=True)
    assert found["statistic"].iloc[0] == pytest.approx(test.statistic, abs=1e-6)
    assert found["p_value"].iloc[0] == pytest.approx(test.p_value, rel=1e-5)
    assert found["p_value"].notna().sum() == (many.converged & smaller.converged).sum()
    with pytest.raises(ArgumentError, match="other names"):
        many.anova(gj.fit_many("~ x", None, data=design_rows(), outcomes=outcomes("poisson", 3), family="poisson"))


@pytest.mark.slow
def test_all_forms_of_outcomes_give_the_same_fits(many):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    data, counts = design_rows(), outcomes("poisson", 12)
    shuffled = counts.sample(frac=1.0, random_state=1)
    forms = {
        "array": counts.to_numpy(),
        "sparse": scipy_sparse.csr_matrix(counts.to_numpy()),
        "table in another order": shuffled,
        "parts": iter([counts.iloc[:, :5], counts.iloc[:, 5:]]),
        "whole numbers": counts.astype(int),
    }
    complete = [k for k in range(12) if k != 3]
    for name, form in forms.items():
        found = gj.fit_many("~ x", data=data, outcomes=form, **MODEL)
        np.testing.assert_allclose(found.llf.to_numpy()[complete], many.llf[:12].to_numpy()[complete], rtol=0, atol=1e-9, err_msg=name)
        assert len(found) == 12
        if name == "parts":
            assert list(found.fe_params.index) == list(counts.columns)
            with pytest.raises(RowsNotKeptError, match="iterator"):
                found["gene0"]


def test_columns_of_parts_with_missing_values_come_later():
    data, counts = design_rows(), with_bad_outcomes()
    parts = [counts.iloc[:, [0, 1]], counts.iloc[:, [3, 2]]]
    found = gj.fit_many("~ x", data=data, outcomes=parts, **MODEL)
    assert list(found.llf.index) == ["gene0", "gene1", "gene3", "gene2"]
    assert found.llf["gene3"] == pytest.approx(single(counts["gene3"], data).llf, abs=2e-8)


def test_names_may_repeat(many):
    counts = outcomes("poisson", 12).set_axis(["a", "a", *"bcdefghijk"], axis=1)
    found = gj.fit_many("~ x", data=design_rows(), outcomes=counts, **MODEL)
    assert found.llf.iloc[1] == pytest.approx(many.llf.iloc[1], abs=1e-9)
    with pytest.raises(ArgumentError, match="2 fits have the name 'a': numbers 0, 1"):
        found["a"]
    assert "2 fits share their name" in str(found.summary())


def test_a_rule_that_is_asked_for_is_kept():
    found = gj.fit_many("~ x", data=design_rows(), outcomes=outcomes("poisson", 12), n_agq=3, **MODEL)
    fit = single(outcomes("poisson", 12)["gene2"], design_rows(), n_agq=3)
    assert_same(found, 2, fit)
    assert (found.fitted_many.n_agq == 3).all()


def test_progress_is_told_and_an_interrupt_keeps_what_is_done():
    seen = []

    def stop(record):
        seen.append(record)
        if record.n_done >= 6:
            raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning, match="stopped"):
        found = gj.fit_many("~ x", data=design_rows(), outcomes=outcomes("poisson", 15), progress=stop, **MODEL)
    assert 6 <= found.converged.sum() < 15
    assert (seen[-1].n, seen[-1].n_failed) == (15, 0)
    assert seen[-1].seconds_left >= 0
    assert (found.code[~found.converged] == "NOT_FITTED").all()
    assert "stopped" in found.message[~found.converged].iloc[0]
    assert "stopped" in str(found.summary())


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"outcomes": np.ones((5, 2))}, ArgumentError, "5 rows, and data have 90"),
        ({"outcomes": np.ones((M * K, 0))}, ArgumentError, "no column"),
        ({"outcomes": iter([])}, ArgumentError, "gave nothing"),
        ({"outcomes": np.ones(M * K)}, ArgumentError, "outcomes=.* must be"),
        ({"outcomes": "y"}, ArgumentError, "outcomes='y' must be"),
        ({"outcomes": -np.ones((M * K, 2))}, OutcomeError, "none of the outcomes can be fitted"),
        ({"outcomes": pd.DataFrame(np.ones((M * K, 2)), index=np.arange(M * K) + 7)}, ArgumentError, "another index"),
        ({"fixed": "y ~ x"}, ArgumentError, "names an outcome, .* '~ x'"),
        ({"fixed": "x"}, ArgumentError, "has no ~: .* '~ x'"),
        ({"fixed": ""}, ArgumentError, "has no ~: .* '~ 1'"),
        (
            {"fixed": "y ~ x", "outcomes": None, "by": "b", "data": design_rows().assign(y=1.0, b=None)},
            ArgumentError,
            "by='b' has no level",
        ),
        ({"fixed": "~ nosuch"}, ValueError, "nosuch"),
        ({"weights": np.ones(3)}, DesignError, "weights has shape"),
        ({"family": "beta_binomial"}, ArgumentError, r"outcomes in 2 column\(s\), and outcomes have 1: give a tuple of two tables"),
        ({"data": gj.stream([])}, ArgumentError, "stream"),
        ({"adjust": 1}, TypeError, "adjust"),
    ],
)
def test_what_concerns_the_whole_call_is_one_error(changes, error, words):
    arguments = {"fixed": "~ x", "data": design_rows(), "outcomes": outcomes("poisson", 2), **MODEL}
    with pytest.raises(error, match=words):
        gj.fit_many(**{**arguments, **changes})


def test_the_dot_stands_for_no_column_that_names_the_fits():
    data = pd.concat([design_rows().assign(y=outcomes("poisson", 2).iloc[:, k], site=k) for k in range(2)])
    found = gj.fit_many("y ~ .", "~ 1 | g", data=data, by="site", family="poisson")
    written = gj.fit_many("y ~ x + t", "~ 1 | g", data=data, by="site", family="poisson")
    pd.testing.assert_frame_equal(found.fe_params[written.fe_params.columns], written.fe_params, rtol=1e-6)
    assert found.fe_params.shape[1] == 3
    assert list(found[0].fe_params.index) == list(found.fe_params.columns)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "random"), [("poisson", "~ t | g"), ("negative_binomial", "~ t | g"), ("binomial", "~ 1 | g"), ("gaussian", "~ 1 | g")]
)
def test_families_and_random_slopes(family, random):
    data, drawn = design_rows(), outcomes(family, 24)
    found = gj.fit_many("~ x", random, data=data, outcomes=drawn, family=family)
    for k in range(len(found)):
        fit = single(drawn.iloc[:, k], data, family=family, random=random)
        if fit.convergence.has_converged:
            assert_same(found, k, fit, bound=1e-6 if not fit.is_singular else 1e-4)
        else:
            assert found.code.iloc[k] == fit.convergence.code.name


def test_pictures_show_every_fit_that_has_an_error(many):
    mpl.use("Agg")
    volcano = many.plot_volcano(n_labels=2)
    tests = many.tidy(adjust="fdr_bh").query("term == 'x'")
    found = tests["p.adjusted"] < 0.05
    assert [len(points.get_offsets()) for points in volcano.collections] == [
        int((tests["p.value"].notna() & ~found).sum()),
        int(found.sum()),
    ]
    strongest = tests.nsmallest(2, "p.value")["fit"]
    assert sorted(text.get_text() for text in volcano.texts) == sorted(strongest)
    assert "5 without certificate" in volcano.get_legend().get_title().get_text()
    estimates = many.plot_estimates()
    assert len(estimates.get_yticklabels()) == tests["std.error"].notna().sum()
    with pytest.raises(ArgumentError, match="term='nosuch' is no coefficient"):
        many.plot_volcano(term="nosuch")


def test_a_file_holds_everything(many, tmp_path):
    pytest.importorskip("pyarrow")
    many.to_parquet(tmp_path / "many.parquet")
    back = pd.read_parquet(tmp_path / "many.parquet")
    pd.testing.assert_frame_equal(many.table(), back, check_names=False, check_index_type=False, check_dtype=False)
