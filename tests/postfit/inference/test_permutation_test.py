"""Permutation tests: columns and statistics against ordinary designs and fits of permuted tables, p-values against full enumeration."""

import dataclasses
import itertools
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, RowsNotKeptError
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.refits import refit_all, refit_in_chunks, with_columns
from glmmjax.postfit.inference import permutation_test as module
from glmmjax.postfit.refitting.bootstrap import origin_of

pytestmark = pytest.mark.usefixtures("compile_quickly")


def trial(seed=3, m=24) -> pd.DataFrame:
    """Counts of clusters of several sizes, rows in no order, a missing value, and text as labels."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(m), rng.integers(2, 6, m))
    n = len(cluster)
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=n).round(1), "z": rng.normal(size=n)})
    data["arm"] = np.array(["a", "b", "c"])[cluster % 3]
    data["centre"] = cluster % 2
    data["y"] = rng.poisson(np.exp(0.8 + 0.3 * data["x"] + 0.6 * rng.normal(size=m)[cluster]))
    data.loc[5, "z"] = np.nan
    data.index = [f"row {k}" for k in range(n)]
    return data.sample(frac=1.0, random_state=2)


def fitted(fixed, data, **others):
    return gj.mixed_model(fixed, random="~ 1 | id", data=data, family="poisson", n_agq=11, **others)


@pytest.fixture(scope="module")
def trial_fit():
    return fitted("y ~ arm * x + bs(z, 3)", trial())


def parts(fit, term):
    """What the test makes of a fit: columns, exchange."""
    seen: dict[str, Any] = {}
    original = module._touched
    module._touched = lambda *given: seen.setdefault("found", given) and original(*given)
    try:
        module.permutation_test(fit.fitted_model, term, module.PermutationSettings(5))
    finally:
        module._touched = original
    columns, exchange, _ = seen["found"]
    return columns, exchange


def permuted_table(fit, term, r, seed=0):
    """The rows used, with the covariate of an exchange."""
    columns, exchange = parts(fit, term)
    used = trial().dropna()
    source = exchange.sources(np.array([r]), seed)[0]
    return used.assign(**{columns.name: used[columns.name].to_numpy()[source]}), columns, source


@pytest.mark.parametrize(("term", "kind"), [("arm", "between"), ("x", "within"), ("bs(z, 3)", "within"), ("arm[T.b]", "between")])
def test_columns_are_those_of_a_permuted_table(trial_fit, term, kind):
    table, columns, source = permuted_table(trial_fit, term, 3)
    assert (table[columns.name].to_numpy() != trial().dropna()[columns.name].to_numpy()).any()
    found = columns.of_rows(np.stack([np.arange(len(table)), source]))
    with jax.enable_x64(True):
        own = gj.make_design("y ~ arm * x + bs(z, 3)", random="~ 1 | id", data=table, family="poisson")
        fresh = np.concatenate([np.asarray(b.X[0])[0][:, np.asarray(b.row_weight)[0] > 0] for b in own.clusters.buckets], axis=1)
    np.testing.assert_allclose(found[:, 1].sum(axis=1), fresh.sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(found[:, 1] @ found[:, 1].T, fresh @ fresh.T, atol=1e-9)
    assert gj.permutation_test(trial_fit, term, 2).test.exchange == kind


@pytest.mark.parametrize("statistic", ["likelihood_ratio", "wald"])
@pytest.mark.parametrize("term", ["arm", "x"])
def test_statistics_are_those_of_ordinary_fits(trial_fit, term, statistic):
    found = gj.permutation_test(trial_fit, term, 6, statistic=statistic)
    smaller = {"arm": "y ~ x + bs(z, 3)", "x": "y ~ arm + bs(z, 3)"}[term]
    assert found.df == {"arm": 4, "x": 3}[term]
    for r, value in [(None, found.statistic), (int(found.draws.argmax()), found.draws.max()), (2, found.draws[2])]:
        table = trial().dropna() if r is None else permuted_table(trial_fit, term, r)[0]
        one = fitted("y ~ arm * x + bs(z, 3)", table)
        if statistic == "wald":
            named = [name for name in one.fe_params.index if term in name.replace("bs(z", "")]
            expected = one.wald_test([f"{name} = 0" for name in named]).statistic
        else:
            expected = gj.anova(fitted(smaller, table), one).statistic
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-5)


def balanced(seed: int) -> pd.DataFrame:
    """Eight clusters of five normal outcomes, four of them treated, with a large variance between clusters."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 5), "treated": np.repeat([1.0, 0, 0, 1, 1, 0, 1, 0], 5)})
    return data.assign(y=1.6 * data["treated"] + rng.normal(size=8)[data["id"]] + 0.3 * rng.normal(size=40))


@pytest.mark.slow
def test_p_value_is_that_of_all_arrangements():
    data = balanced(11)
    fit = gj.mixed_model("y ~ treated", random="~ 1 | id", data=data, family="gaussian")
    means, own = data.groupby("id")["y"].mean().to_numpy(), data.groupby("id")["treated"].first().to_numpy()
    distance = lambda treated: abs(means[treated == 1].mean() - means[treated == 0].mean())  # noqa: E731
    all_of_them = [np.isin(np.arange(8), chosen).astype(float) for chosen in itertools.combinations(range(8), 4)]
    exact = np.mean([distance(one) >= distance(own) - 1e-12 for one in all_of_them])
    found = gj.permutation_test(fit, "treated", 999)
    assert 0.02 < exact < 0.5
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 999))
    # in a balanced design the likelihood ratio orders arrangements as the difference of the means does: each is counted on its side
    exchange = parts(fit, "treated")[1]
    each = exchange.sources(np.arange(999), 0)
    first = np.arange(0, 40, 5)
    larger = np.array([distance(data["treated"].to_numpy()[source[first]]) >= distance(own) - 1e-12 for source in each])
    assert found.p_value == (1 + larger.sum()) / 1000
    assert "There are only 70 different arrangements." in str(found)
    assert found.table.loc["treated", "MC error"] == pytest.approx(np.sqrt(found.p_value * (1 - found.p_value) / 999))


def test_a_coding_without_intercept_tests_the_same():
    data = trial().dropna()
    with_intercept, without = (gj.permutation_test(fitted(f"y ~ {right} + x", data), "arm", 4) for right in ("arm", "0 + arm"))
    assert with_intercept.df == without.df == 2
    assert without.statistic == pytest.approx(with_intercept.statistic, abs=1e-6)
    np.testing.assert_allclose(without.draws, with_intercept.draws, atol=1e-5)
    wald = [gj.permutation_test(fitted(f"y ~ {right} + x", data), "arm", 4, statistic="wald") for right in ("arm", "0 + arm")]
    np.testing.assert_allclose(wald[0].draws, wald[1].draws, rtol=1e-4)


def test_draws_do_not_depend_on_chunks(trial_fit, monkeypatch):
    whole = gj.permutation_test(trial_fit, "arm", 7, seed=5)
    monkeypatch.setattr(module, "_BLOCK_NUMBERS", 1)  # columns of one permutation at a time
    np.testing.assert_array_equal(gj.permutation_test(trial_fit, "arm", 7, seed=5).draws, whole.draws)
    np.testing.assert_array_equal(gj.permutation_test(trial_fit, "arm", 3, seed=5).draws, whole.draws[:3])
    assert (gj.permutation_test(trial_fit, "arm", 7, seed=6).draws != whole.draws).all()


@pytest.mark.slow
def test_an_accelerator_gives_the_same_refits(trial_fit):
    """Refits in vmapped chunks, as an accelerator has them, against those side by side."""
    fit = trial_fit.fitted_model
    with jax.enable_x64(True):
        columns, exchange = parts(trial_fit, "arm")
        changes = with_columns(3, module._blocks(columns, exchange, 0))
        origin = origin_of(fit)
        ends = refit_in_chunks(origin, changes, size=2)
        side_by_side = refit_all(origin, changes)
    np.testing.assert_allclose([end.log_likelihood for end in ends], side_by_side.log_likelihood, rtol=1e-10)
    np.testing.assert_allclose([end.theta for end in ends], side_by_side.theta, atol=1e-5)


def test_refits_without_certificate_are_counted_and_said(trial_fit, monkeypatch):
    def lost(origin, changes):
        found = refit_all(origin, changes)
        return found._replace(code=np.where(np.arange(changes.n) < 2, int(Code.NOT_A_MAXIMUM), found.code))

    monkeypatch.setattr(module, "refit_all", lost)
    for statistic in module.STATISTICS:
        found = gj.permutation_test(trial_fit, "x", 5, statistic=statistic)
        assert list(found.draws.isna()) == [True, True, False, False, False]
        assert found.p_value == (1 + (found.draws >= found.statistic).sum()) / 4
        assert "2 permutations are not counted" in str(found)
    with pytest.raises(ArgumentError, match="in none of the 2 permutations"):
        gj.permutation_test(trial_fit, "x", 2)


def test_a_fit_by_a_rule_that_has_not_settled_is_a_maximum_by_this_rule(trial_fit):
    fitted = trial_fit.fitted_model
    ended = dataclasses.replace(fitted.convergence, code=Code.QUADRATURE_NOT_SETTLED)
    settings = module.PermutationSettings(3, "wald")
    found = module.permutation_test(dataclasses.replace(fitted, convergence=ended), "arm", settings)
    assert found.statistic == module.permutation_test(fitted, "arm", settings).statistic


def test_a_singular_fit_has_the_wald_statistic_of_wald_test(singular_fit):
    found = gj.permutation_test(singular_fit, "sex", 4, statistic="wald")
    expected = singular_fit.wald_test("sex[T.female] = 0, sex[T.female]:time = 0").statistic
    assert found.statistic == pytest.approx(expected, rel=1e-10)
    assert found.draws.notna().all()


def test_strata_exchange_inside_centres(trial_fit):
    found = gj.permutation_test(trial_fit, "arm", 3, strata="centre")
    assert "inside strata of 'centre'" in str(found)
    with pytest.raises(ArgumentError, match="strata='nosuch' must be a column of the data"):
        gj.permutation_test(trial_fit, "arm", 3, strata="nosuch")


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("arm:x", r"of several covariates \(arm, x\)"),
        ("arms", "did you mean 'arm'"),
        ("y", "no covariate of the fixed effects"),
        ("Intercept", "no covariate of the fixed effects"),
        ("(", "no covariate of the fixed effects"),
    ],
)
def test_terms_that_are_no_covariate_are_refused(trial_fit, term, text):
    with pytest.raises(ArgumentError, match=text):
        gj.permutation_test(trial_fit, term)


def test_what_is_not_exchangeable_is_refused(slope_fit, penalized_fit, as_if_fitted):
    data = trial().dropna()
    with pytest.raises(ArgumentError, match="'time' is in the random effects too"):
        gj.permutation_test(slope_fit, "time")
    with pytest.raises(ArgumentError, match="fit is a penalised fit"):
        gj.permutation_test(penalized_fit, "sex")
    zero = as_if_fitted("y ~ arm + x", random="~ 1 | id", zi_fixed="~ x", data=data, family="zero_inflated_poisson")
    with pytest.raises(ArgumentError, match="'x' is in the zero part too"):
        gj.permutation_test(zero, "x")
    offset = as_if_fitted("y ~ arm + x + offset(z)", random="~ 1 | id", data=data, family="poisson")
    with pytest.raises(ArgumentError, match="no covariate of the fixed effects"):
        gj.permutation_test(offset, "z")
    streamed = as_if_fitted("y ~ arm + x", random="~ 1 | id", data=gj.stream([data.sort_values("id")]), family="poisson")
    with pytest.raises(RowsNotKeptError):
        gj.permutation_test(streamed, "x")


def test_without_random_effects_rows_exchange():
    data = trial().dropna()
    found = gj.permutation_test(gj.mixed_model("y ~ arm + x", data=data, family="poisson"), "arm", 9)
    assert found.test.exchange == "between"
    assert "The rows exchange their values of 'arm'." in str(found)


def test_the_picture_has_all_draws(trial_fit):
    found = gj.permutation_test(trial_fit, "x", 9)
    ax: Any = found.plot(bins=5)
    assert sum(patch.get_height() for patch in ax.patches) == 9
    assert ax.lines[0].get_xdata()[0] == found.statistic
    assert "permutations" in found._repr_html_()
