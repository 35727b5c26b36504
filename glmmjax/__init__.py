"""Generalized linear mixed models by adaptive Gauss-Hermite quadrature, on JAX.

The names below are all that is public; each is loaded when it is first used, so that ``import glmmjax`` costs next to nothing.
Examples in docstrings take ``import glmmjax as gj`` for granted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glmmjax import datasets as datasets
    from glmmjax import errors as errors
    from glmmjax import families as families
    from glmmjax.compilation_cache import enable_compilation_cache as enable_compilation_cache
    from glmmjax.compilation_cache import program_store as program_store
    from glmmjax.continuation_ratio import cr_marg_probs as cr_marg_probs
    from glmmjax.continuation_ratio import cr_setup as cr_setup
    from glmmjax.design.builder import make_design as make_design
    from glmmjax.design.stream.source import stream as stream
    from glmmjax.estimation.fit import fit_params as fit_params
    from glmmjax.estimation.many.fits import fit_params_many as fit_params_many
    from glmmjax.likelihood.custom_law import CustomEffects as CustomEffects
    from glmmjax.likelihood.laws import StudentTEffects as StudentTEffects
    from glmmjax.likelihood.log_density import log_density as log_density
    from glmmjax.likelihood.marginal import cluster_log_likelihoods as cluster_log_likelihoods
    from glmmjax.likelihood.marginal import log_likelihood as log_likelihood
    from glmmjax.likelihood.normal_mixture import NormalMixtureEffects as NormalMixtureEffects
    from glmmjax.likelihood.parameter_priors import Priors as Priors
    from glmmjax.likelihood.params import Params as Params
    from glmmjax.likelihood.sharding import shard_clusters as shard_clusters
    from glmmjax.likelihood.skew_normal import SkewNormalEffects as SkewNormalEffects
    from glmmjax.loading import load as load
    from glmmjax.many.entry import fit_many as fit_many
    from glmmjax.model import mixed_model as mixed_model
    from glmmjax.neural.batches import cluster_batches as cluster_batches
    from glmmjax.neural.loading import load_neural as load_neural
    from glmmjax.neural.loss import marginal_loss as marginal_loss
    from glmmjax.neural.model import NeuralMixedModel as NeuralMixedModel
    from glmmjax.options import Options as Options
    from glmmjax.options import StudentTPenalty as StudentTPenalty
    from glmmjax.results import ManyFits as ManyFits
    from glmmjax.results import MixedModelResults as MixedModelResults
    from glmmjax.results import anova as anova
    from glmmjax.results import compare_models as compare_models
    from glmmjax.results import cross_validate as cross_validate
    from glmmjax.results import nonparametric_effects as nonparametric_effects
    from glmmjax.results import permutation_test as permutation_test
    from glmmjax.results import pool as pool
    from glmmjax.results import power as power
    from glmmjax.storage.predictors import load_predictor as load_predictor

__version__ = "0.1.0"

_MODULES = ("datasets", "errors", "families", "sklearn")  # the last needs scikit-learn, and is not in __all__
_HOMES = {
    "MixedModelResults": "results",
    "NeuralMixedModel": "neural.model",
    "ManyFits": "results",
    "Options": "options",
    "Params": "likelihood.params",
    "Priors": "likelihood.parameter_priors",
    "CustomEffects": "likelihood.custom_law",
    "NormalMixtureEffects": "likelihood.normal_mixture",
    "SkewNormalEffects": "likelihood.skew_normal",
    "StudentTEffects": "likelihood.laws",
    "StudentTPenalty": "options",
    "anova": "results",
    "cluster_log_likelihoods": "likelihood.marginal",
    "compare_models": "results",
    "cluster_batches": "neural.batches",
    "cr_marg_probs": "continuation_ratio",
    "cr_setup": "continuation_ratio",
    "cross_validate": "results",
    "enable_compilation_cache": "compilation_cache",
    "fit_many": "many.entry",
    "fit_params": "estimation.fit",
    "fit_params_many": "estimation.many.fits",
    "load": "loading",
    "load_neural": "neural.loading",
    "load_predictor": "storage.predictors",
    "log_density": "likelihood.log_density",
    "log_likelihood": "likelihood.marginal",
    "make_design": "design.builder",
    "marginal_loss": "neural.loss",
    "mixed_model": "model",
    "nonparametric_effects": "results",
    "permutation_test": "results",
    "pool": "results",
    "power": "results",
    "program_store": "compilation_cache",
    "stream": "design.stream.source",
    "shard_clusters": "likelihood.sharding",
}

__all__ = [
    "CustomEffects",
    "ManyFits",
    "MixedModelResults",
    "NeuralMixedModel",
    "NormalMixtureEffects",
    "Options",
    "Params",
    "Priors",
    "SkewNormalEffects",
    "StudentTEffects",
    "StudentTPenalty",
    "anova",
    "cluster_batches",
    "cluster_log_likelihoods",
    "compare_models",
    "cr_marg_probs",
    "cr_setup",
    "cross_validate",
    "datasets",
    "enable_compilation_cache",
    "errors",
    "families",
    "fit_many",
    "fit_params",
    "fit_params_many",
    "load",
    "load_neural",
    "load_predictor",
    "log_density",
    "log_likelihood",
    "make_design",
    "marginal_loss",
    "mixed_model",
    "nonparametric_effects",
    "permutation_test",
    "pool",
    "power",
    "program_store",
    "shard_clusters",
    "stream",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise _missing(name)
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _missing(name: str) -> AttributeError:
    text = f"module {__name__!r} has no attribute {name!r}"
    if name.startswith("_"):
        return AttributeError(text)
    other_names = importlib.import_module(f"{__name__}.other_names")
    families = importlib.import_module(f"{__name__}.families")
    if isinstance(getattr(families, name, None), type):
        return AttributeError(f"{text}; write {__name__}.families.{name}")
    near = other_names.advice_on_name(name, other_names.FUNCTIONS, __all__)
    return AttributeError(f"{text}; write {__name__}.{near}" if near else f"{text}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
