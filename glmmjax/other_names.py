"""Names that other libraries have for what is here, in one table. An error that meets one of them names ours; no name works twice.

The libraries are lme4, GLMMadaptive, glmmTMB, emmeans (R), statsmodels, pyfixest, lifelines and scikit-learn (Python).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

__all__ = [
    "ARGUMENTS",
    "ATTRIBUTES",
    "ELSEWHERE",
    "FAMILIES",
    "FUNCTIONS",
    "NEEDED",
    "advice_on_argument",
    "advice_on_name",
    "missing_attribute",
]

# of a fit: other name -> what to write after "fit."
ATTRIBUTES: dict[str, str] = {
    **dict.fromkeys(("bse", "se", "stderr", "std_errors", "standard_errors_", "SE"), "bse_fe"),
    **dict.fromkeys(("coef", "coef_", "coefs", "coefficients", "fixef", "fixed_effects", "beta", "params_", "b"), "fe_params"),
    **dict.fromkeys(("ranef", "random_effects_", "re", "BLUP"), "random_effects"),
    **dict.fromkeys(("logLik", "loglik", "loglike", "log_likelihood", "log_likelihood_", "loglikelihood", "logL"), "llf"),
    **dict.fromkeys(("AIC", "AIC_"), "aic"),
    **dict.fromkeys(("BIC", "BIC_"), "bic"),
    "deviance": "llf, of which the deviance is -2 times",
    **dict.fromkeys(("vcov", "cov", "variance_matrix_", "cov_params_default", "covariance"), "cov_params()"),
    **dict.fromkeys(("confint", "confidence_intervals_", "ci", "conf_ints"), "conf_int()"),
    **dict.fromkeys(("VarCorr", "varcorr", "vcomp", "D", "G"), "cov_re"),
    **dict.fromkeys(("tvalues", "tstat", "zstat", "z", "t"), "zvalues"),
    **dict.fromkeys(("pvalue", "pval", "p_values", "p"), "pvalues"),
    **dict.fromkeys(("residuals", "resid_response", "resid_pearson", "resid_deviance", "resids"), "resid()"),
    **dict.fromkeys(("fittedvalues", "fitted_values", "mu"), "fitted()"),
    **dict.fromkeys(("predict_proba", "get_prediction", "prediction"), "predict(), with interval=0.95 for its uncertainty"),
    **dict.fromkeys(("n", "n_obs", "nobs_", "N"), "nobs"),
    **dict.fromkeys(("ngrps", "ngroups", "n_clusters", "N_clusters"), "n_groups"),
    **dict.fromkeys(("df", "df_model", "df_modelwc", "npar", "n_params"), "df_params"),
    **dict.fromkeys(("sigma", "scale", "dispersion", "theta", "shape"), "phi"),
    **dict.fromkeys(("formula", "call", "model"), "fitted_model.request.fixed, the formula as it was given"),
    **dict.fromkeys(("t_test", "f_test", "linear_hypothesis", "linearHypothesis", "glht"), "wald_test()"),
    **dict.fromkeys(("emmeans", "estimated_marginal_means", "lsmeans"), "marginal_means()"),
    **dict.fromkeys(("get_margeff", "margins", "marginal_effects", "slopes", "avg_slopes", "ggpredict"), "effects() or contrasts()"),
    **dict.fromkeys(("pairs", "comparisons", "pairwise"), "contrasts()"),
    **dict.fromkeys(("anova", "lr_test", "lrtest", "compare_lr_test"), "update() for another model, and glmmjax.anova(fit0, fit1)"),
    **dict.fromkeys(("r_squared", "rsquared", "prsquared", "r2_nakagawa", "R2"), "r2()"),
    **dict.fromkeys(("ICC", "intraclass"), "icc()"),
    **dict.fromkeys(("cov_re_", "random_cov"), "cov_re"),
    **dict.fromkeys(("plot", "plot_model"), "plot_effects(), plot_coefficients() or plot_diagnostics()"),
    **dict.fromkeys(("isSingular", "singular"), "is_singular"),
    **dict.fromkeys(("mle_retvals", "mle_settings", "optinfo", "convergence_status"), "convergence"),
    **dict.fromkeys(("remove_data", "pickle"), "save(path)"),
    **dict.fromkeys(("print_summary", "summary2", "summary_frame", "etable"), "summary()"),
    **dict.fromkeys(("as_latex", "to_latex"), "summary().to_latex()"),
    **dict.fromkeys(("as_html", "to_html"), "summary().to_html()"),
    **dict.fromkeys(("VIF", "variance_inflation_factor"), "vif()"),
    **dict.fromkeys(("get_influence", "cooks"), "influence() or cooks_distance()"),
    **dict.fromkeys(("overdispersion_test", "testDispersion", "simulateResiduals"), "quantile_residuals()"),
    **dict.fromkeys(("odds_ratios", "rate_ratios", "exp_params", "exp_coef"), "tidy(exponentiate=True), for odds ratios and rate ratios"),
    **dict.fromkeys(
        ("to_csv", "to_excel", "to_frame", "to_polars", "params_table"), "tidy(), a table that has to_csv(), to_polars() and more"
    ),
    "fit": "summary(), for mixed_model has fitted it",
    "refit": "update()",
}

_ARGUMENTS: list[tuple[tuple[str, ...], dict[str, str]]] = [
    (("alpha",), {"level": "level=0.95 in the place of alpha=0.05"}),
    (("conf_level", "ci_level", "prob", "ci"), {"level": "level=0.95", "interval": "interval=0.95"}),
    (("parm",), {"which": "which='fixed'"}),
    (
        ("type", "what"),
        {"kind": "kind=, which says what is averaged over", "scale": "scale='response' or 'link'", "which": "which="},
    ),
    (("se_fit", "se", "return_conf_int"), {"interval": "interval=0.95"}),
    (("exog", "X", "new_data", "data", "df"), {"newdata": "newdata="}),
    (("formula", "fml", "model"), {"fixed": "fixed='y ~ x'"}),
    (("groups", "group", "cluster", "id"), {"random": "random='~ 1 | id', with the column of the clusters after the bar"}),
    (("re_formula", "random_effects", "vc_formula"), {"random": "random='~ time | id'"}),
    (("nAGQ", "nagq", "n_quad", "n_points"), {"n_agq": "n_agq=11"}),
    (("ziformula", "zi", "zero_formula"), {"zi_fixed": "zi_fixed='~ x'"}),
    (("dispformula", "disp"), {"dispersion": "dispersion='~ x'"}),
    (("control", "method_kwargs"), {"options": "options=glmmjax.Options(...)"}),
    (("start", "start_params"), {"initial_values": "initial_values="}),
    (("verbose", "verbosity"), {"progress": "progress=True"}),
    (("link", "dist"), {"family": "family=glmmjax.families.Binomial(link='probit')"}),
    (("cov_type", "vcov", "vcov_type", "sandwich"), {"robust": "robust='CR2'"}),
    (("nsim", "reps", "n_boot", "repetitions"), {"n": "n=1000"}),
    (("random_state", "rng", "key"), {"seed": "seed=1"}),
    (("variable", "variables", "term", "terms", "specs"), {"newdata": "newdata={'x': [0, 1]}", "by": "by="}),
    (("backend",), {"devices": "devices='gpu'"}),
    (("cv", "k", "n_folds", "n_splits"), {"folds": "folds=5"}),
    (("method",), {"n_agq": "n_agq=1 for Laplace's method", "kind": "kind=", "statistic": "statistic="}),
    (("test",), {"null": "null='chi2' or 'simulated'; the test is that of the likelihood ratio"}),
    (
        ("freq_weights", "case_weights", "fweights"),
        {"row_weights": "row_weights=, one for each row", "weights": "weights=, one for each cluster"},
    ),
]
# of any function: other name -> {ours: what to write}; those are shown that the function has
ARGUMENTS: dict[str, dict[str, str]] = {name: ours for names, ours in _ARGUMENTS for name in names}

# of one function: (function, other name) -> what to write
ELSEWHERE: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        (("summary", name) for name in ("robust", "cov_type", "vcov", "cluster")), "fit.tidy(robust='CR2') for robust standard errors"
    ),
    **dict.fromkeys((("summary", name) for name in ("alpha", "level", "conf_int", "ci")), "fit.conf_int(level=0.9) for intervals"),
    **dict.fromkeys((("summary", name) for name in ("exponentiate", "exp", "eform")), "fit.tidy(exponentiate=True) for ratios"),
    **dict.fromkeys(
        (("mixed_model", name) for name in ("vcov", "cov_type", "robust", "cluster_robust")), "fit.tidy(robust='CR2') after the fit"
    ),
    **dict.fromkeys((("mixed_model", name) for name in ("REML", "reml")), "no REML=: estimates are those of maximum likelihood"),
    **dict.fromkeys(
        (("predict", name) for name in ("re_form", "re_formula", "random_only", "allow_new_levels", "include_random")),
        "kind='subject_specific' with the random effects of known clusters, or kind='mean_subject' or kind='marginal' without",
    ),
}

# of one function: (function, argument that has no default) -> what it may be, where that is more than its kind says
NEEDED: dict[tuple[str, str], str] = {
    (
        "anova",
        "fit1",
    ): "it compares two fits; make the smaller one by fit.update(fixed='. ~ . - x'), or test a term of one by fit.wald_test('x = 0')",
    ("mixed_model", "family"): "'binomial' for 0 and 1, 'poisson' for counts, 'gaussian' for measurements, or another of glmmjax.families",
    ("plot_effects", "newdata"): "the name of a covariate, plot_effects('x'), or values, plot_effects({'x': [0, 1]})",
}

# other text -> our family
FAMILIES: dict[str, str] = {
    **dict.fromkeys(("nb", "nb2", "negbin", "nbinom", "nbinom2", "negative_binomial2", "glmer_nb"), "negative_binomial"),
    **dict.fromkeys(("nb1", "nbinom1"), "negative_binomial1"),
    **dict.fromkeys(("bernoulli", "logistic", "logit", "binary"), "binomial"),
    **dict.fromkeys(("ordinal", "ordered", "clm", "clmm", "polr", "cumulative_logit", "proportional_odds", "ordered_model"), "cumulative"),
    **dict.fromkeys(("zip", "zi_poisson"), "zero_inflated_poisson"),
    **dict.fromkeys(("zinb", "zi_negative_binomial"), "zero_inflated_negative_binomial"),
    **dict.fromkeys(("zib", "zi_binomial"), "zero_inflated_binomial"),
    **dict.fromkeys(("normal", "gauss", "lmm", "linear"), "gaussian"),
    **dict.fromkeys(("t", "t_family", "students_t", "scaled_t"), "student_t"),
    **dict.fromkeys(("compois", "cmp", "com_poisson", "conway_maxwell"), "conway_maxwell_poisson"),
    **dict.fromkeys(("genpois", "gp"), "generalized_poisson"),
    **dict.fromkeys(("betabinomial", "betabinom"), "beta_binomial"),
    **dict.fromkeys(("beta_family", "beta_regression"), "beta"),
    **dict.fromkeys(("ordbeta",), "ordered_beta"),
    **dict.fromkeys(("truncated_count", "poisson_hurdle"), "hurdle_poisson"),
    **dict.fromkeys(("tobit", "censored", "censored_gaussian"), "censored_normal"),
    **dict.fromkeys(("log_normal",), "lognormal"),
    **dict.fromkeys(("ig", "inverse_normal", "invgauss"), "inverse_gaussian"),
    **dict.fromkeys(("ztp", "zero_truncated_poisson"), "truncated_poisson"),
    **dict.fromkeys(("ztnb", "truncated_nbinom2"), "truncated_negative_binomial"),
}

# of the package: other name -> what to write after "glmmjax."
FUNCTIONS: dict[str, str] = {
    **dict.fromkeys(
        ("glmer", "lmer", "glmmTMB", "mixedlm", "MixedLM", "GLMM", "glmm", "fit", "clmm", "feglm", "glmmPQL"), "mixed_model(...)"
    ),
    "glmer_nb": "mixed_model(..., family='negative_binomial')",
    **dict.fromkeys(("compare", "model_comparison", "etable", "compare_performance"), "compare_models(fit0, fit1, ...)"),
    **dict.fromkeys(("lrtest", "lr_test"), "anova(fit0, fit1)"),
    **dict.fromkeys(("permlmer", "permutest", "permtest"), "permutation_test(fit, 'x')"),
    **dict.fromkeys(("cross_val_score", "cv", "kfold", "loo_compare"), "cross_validate(fit0, fit1, ...)"),
    **dict.fromkeys(("powerSim", "powerCurve", "mixedpower"), "power(fit, {'x': 0.5}, sizes=[50, 100])"),
    **dict.fromkeys(("read", "read_fit", "load_pickle"), "load(path)"),
    **dict.fromkeys(("glmerControl", "lmerControl"), "Options(...)"),
    **dict.fromkeys(("load_dataset", "data", "get_rdataset"), "datasets"),
}


def advice_on_name(name: str, others: Mapping[str, str], ours: Iterable[str]) -> str:
    """What to write in the place of ``name``: the entry of ``others``, else the nearest of ``ours``; "" for neither."""
    plain = _plain(name)
    for other, own in others.items():
        if plain == _plain(other):
            return own
    near = {_plain(own): own for own in ours}
    close = difflib.get_close_matches(plain, near, n=1, cutoff=0.7)
    return near[close[0]] if close else ""


def advice_on_argument(name: str, ours: Iterable[str], function: str = "") -> str:
    """What to write in the place of the argument ``name`` of a function that has ``ours``; "" where nothing is near."""
    own = tuple(ours)
    plain = _plain(name)
    elsewhere = next((how for (where, other), how in ELSEWHERE.items() if where == function and _plain(other) == plain), "")
    if elsewhere:
        return elsewhere
    listed = next((found for other, found in ARGUMENTS.items() if _plain(other) == plain), {})
    fitting = [how for argument, how in listed.items() if argument in own]
    if fitting:
        return ", or ".join(fitting)
    near = advice_on_name(name, {}, own)
    return f"{near}=" if near else ""


def missing_attribute(owner: object, name: str) -> AttributeError:
    """The error of a fit that has no ``name``; it names ours."""
    kind = type(owner)
    text = f"{kind.__name__!r} object has no attribute {name!r}"
    if name.startswith("_"):
        return AttributeError(text)
    own = [attribute for attribute in dir(owner) if not attribute.startswith("_")]
    advice = advice_on_name(name, {other: how for other, how in ATTRIBUTES.items() if _head(how) in own}, own)
    return AttributeError(f"{text}; write .{advice}" if advice else f"{text}; dir(fit) lists what it has")


def _head(how: str) -> str:
    """The attribute with which a text of ``ATTRIBUTES`` begins."""
    return how.split(",")[0].split(" ")[0].split("(")[0].split(".")[0]


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace(".", "").replace(" ", "").replace("-", "")
