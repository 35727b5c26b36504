"""Every argument of every public function and method, given values of the wrong kind: each call ends in an answer or in our own error."""

import contextlib
import datetime
import fractions
import inspect
import signal
import sys
import warnings
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from jax.experimental.compilation_cache import compilation_cache

import glmmjax as gj
from glmmjax.errors import ConvergenceWarning, DesignWarning, GlmmError
from glmmjax.likelihood.laws import LAWS
from tests.test_docstrings import functions, public_names

mpl.use("Agg")
pytestmark = pytest.mark.usefixtures("compile_quickly")

HOSTILE = {
    "None": None,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus one": -1,
    "half": 1.5,
    "true": True,
    "huge": 10**30,
    "too long to write": 10**5000,
    "complex": 1j,
    "empty text": "",
    "unknown text": "nosuch",
    "bytes": b"nosuch",
    "empty list": [],
    "ragged list": [[1.0], [2.0, 3.0]],
    "a tuple of text": ("a", "b"),
    "empty dict": {},
    "a dict": {"nosuch": 1},
    "a set": {1.0},
    "object": object(),
    "function": lambda: 1,
    "class": float,
    "object array": np.array([None, "a"], object),
    "matrix": np.zeros((2, 2)),
    "table": pd.DataFrame({"x": [1.0, 2.0]}),
    "date": datetime.date(2024, 1, 1),
    "fraction": fractions.Fraction(1, 3),
}
SECONDS = 120  # a call that takes longer hangs


def rows(m: int = 12, k: int = 4) -> pd.DataFrame:
    draws = np.random.default_rng(5)
    x, cluster = draws.normal(size=m * k), np.repeat(np.arange(m), k)
    mean = np.exp(0.3 + 0.5 * x + 0.7 * draws.normal(size=m)[cluster])
    return pd.DataFrame(
        {"y": draws.poisson(mean), "x": x, "z": draws.normal(size=m * k), "sex": np.tile(["f", "m"], m * k // 2), "id": cluster}
    )


MODEL = {"fixed": "y ~ x + sex", "random": "~ 1 | id", "data": rows(), "family": "poisson", "n_agq": 11}


MANY = MODEL | {"fixed": "~ x + sex", "outcomes": np.random.default_rng(1).poisson(2.0, size=(48, 3))}


NETWORK = {
    "apply": lambda weights, x: x @ weights["slope"],
    "init_params": {"slope": np.zeros(1, "float32")},
    "data": rows(),
    "inputs": rows()[["z"]].to_numpy("float32"),
    "epochs": 1,
    "batch": 6,
}


@pytest.fixture(autouse=True)
def _folders_as_before():
    """A hostile value that is a path is a folder from then on, for JAX's own cache too."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes")
    settings: Any = jax.config
    before = {name: getattr(settings, name) for name in names}
    yield
    gj.program_store(None)
    if settings.jax_compilation_cache_dir != before["jax_compilation_cache_dir"]:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def receivers():
    """An instance of every class with public methods, made from one fit, by the name of the class."""
    fit = gj.mixed_model(**MODEL)
    made = [fit, fit.bootstrap(2), fit.influence(), fit.marginal_coefs(), fit.quantile_residuals(20), fit.summary()]
    made += [gj.fit_many(**MANY), gj.permutation_test(fit, "x", 3), gj.cross_validate(fit), gj.power(fit, {"x": 0.5}, n_sim=2)]
    made += [gj.nonparametric_effects(fit)]
    made += [gj.make_design(**{name: value for name, value in MODEL.items() if name != "n_agq"})]
    network = gj.NeuralMixedModel("y ~ x + sex", "~ 1 | id", "poisson", n_agq=11)
    made += [network, network.fit(**NETWORK)]
    return {type(one).__name__: one for one in made}


def sound(name: str, receivers: dict, argument: str = "") -> dict:
    """Arguments with which the call is short and right; those with a default need none."""
    fit, design = receivers["MixedModelResults"], receivers["Design"]
    at = {"params": fit.params, "clusters": design.clusters, "family": "poisson", "n_agq": 3}
    return {
        "mixed_model": MODEL,
        "make_design": {key: value for key, value in MODEL.items() if key != "n_agq"},
        "log_likelihood": at,
        "cluster_log_likelihoods": at,
        "log_density": at | {"priors": gj.Priors(sd=(1.0, 3.0))},
        "marginal_loss": {"predictor_values": np.zeros(48), "params": fit.params, "clusters": design, "family": "poisson", "n_agq": 3},
        "cluster_batches": {"design": design, "size": 3, "key": 0},
        "fit_params": {"clusters": design.clusters, "family": "poisson", "n_agq": 3, "init": fit.params},
        "fit_many": MODEL | {"fixed": "y ~ x", "by": "sex"} if argument == "by" else MANY,
        "fit_params_many": {"clusters": design.with_outcomes(np.ones((2, 48))), "family": "poisson", "n_agq": 3},
        "shard_clusters": {"clusters": design.clusters, "mesh": None},
        "pool": {"fits": [fit, fit]},
        "anova": {"fit0": fit, "fit1": fit, "n": 2},
        "power": {"fit": fit, "effects": {"x": 0.5}, "n_sim": 2},
        "nonparametric_effects": {"fit": fit},
        "permutation_test": {"fit": fit, "term": "x", "n_permutations": 2},
        "cr_setup": {"y": pd.Categorical(["a", "b", "c"], ordered=True)},
        "cr_marg_probs": {"eta": np.zeros((2, 2))},
        "load": {"path": "nosuch.glmm"},
        "NormalMixtureEffects": {"weights": (0.5, 0.5), "means": (0.0, 1.0), "sds": (1.0, 1.0)},
        "CustomEffects": {"log_density": lambda u: -u * u},
        "load_neural": {"folder": "nosuch", "apply": NETWORK["apply"], "init_params": NETWORK["init_params"]},
        "load_predictor": {"path": "nosuch.glmmpred"},
        "MixedModelResults.export_predictor": {"path": "fit.glmmpred", "n_draws": 100},
        "MixedModelResults.predictor_rows": {"newdata": rows(), "newdata2": rows()},
        "stream": {"source": rows()},
        "Design.with_offset": {"values": np.zeros(48)},
        "Design.with_outcome": {"values": np.ones(48)},
        "Design.with_outcomes": {"values": np.ones((2, 48))},
        "Design.with_weights": {"values": np.ones(12)},
        "NeuralMixedModel.fit": NETWORK,
        "NeuralFit.network_output": {"inputs": NETWORK["inputs"]},
        "NeuralFit.predict": {"newdata": rows(), "inputs": NETWORK["inputs"]},
        "NeuralFit.score": {"newdata": rows(), "inputs": NETWORK["inputs"]},
        "NeuralFit.save": {"folder": "network"},
        "ManyFits.anova": {"other": receivers["ManyFits"]},
        "ManyFits.nth": {"number": 0},
        "ManyFits.to_parquet": {"path": "many.parquet"},
        "ManyFits.wald_test": {"hypotheses": "x = 0"},
        "MixedModelResults.bootstrap": {"n": 2},
        "MixedModelResults.conf_int": {"n": 20},
        "MixedModelResults.contrasts": {"newdata": {"sex": ["f", "m"]}},
        "MixedModelResults.effects": {"newdata": {"x": [0.0, 1.0]}},
        "MixedModelResults.plot_calibration": {"n": 20},
        "MixedModelResults.plot_diagnostics": {"n": 20},
        "MixedModelResults.plot_dynamic": {"history": rows().head(4), "x": "x"},
        "MixedModelResults.plot_effects": {"newdata": {"x": [0.0, 1.0]}},
        "MixedModelResults.predict": {"newdata": rows().head(4), "n_draws": 100},
        "MixedModelResults.plot_predictive": {"n": 20},
        "MixedModelResults.plot_qq": {"n": 20},
        "MixedModelResults.plot_residuals": {"n": 20},
        "MixedModelResults.quantile_residuals": {"n": 20},
        "MixedModelResults.save": {"path": "fit.glmm"},
        "MixedModelResults.score_test": {"terms": "z"},
        "MixedModelResults.wald_test": {"hypotheses": "x = 0"},
        "InfluenceResults.cooks_distance": {"method": "one_step"},
        "InfluenceResults.dfbetas": {"method": "one_step"},
        "InfluenceResults.plot": {"method": "one_step"},
        "MixedModelResults.cooks_distance": {"method": "one_step"},
        "MixedModelResults.dfbetas": {"method": "one_step"},
        "MixedModelResults.plot_influence": {"method": "one_step"},
    }.get(name, {})


def classes() -> dict:
    """What users make themselves: settings, penalties and families."""
    found = {name: value for name, value in public_names() if inspect.isclass(value)}
    return {name: kind for name, kind in found.items() if name.startswith(("families.", "Options", "StudentTPenalty")) or name in LAWS}


def arguments() -> list[tuple[str, str]]:
    """(call, argument) of all public signatures."""
    calls = {**functions(), **classes()}
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    signatures = {name: inspect.signature(call).parameters.values() for name, call in sorted(calls.items())}
    return [(name, p.name) for name, found in signatures.items() for p in found if p.name != "self" and p.kind not in kinds]


@contextlib.contextmanager
def watched():
    """Silence our own warnings, make errors of all others, close figures, and end what hangs."""

    def ring(*_):
        raise TimeoutError(f"no end after {SECONDS} s")

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, ring)
        signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", DesignWarning)
            yield
    finally:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize(("name", "argument"), arguments(), ids=lambda text: text)
def test_it_ends_in_an_answer_or_in_our_own_error(name, argument, receivers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a name that is taken for a path is written
    owner, _, method = name.rpartition(".")
    call = getattr(receivers[owner], method) if owner in receivers else {**functions(), **classes()}[name]
    foreign = []
    for label, value in HOSTILE.items():
        try:
            with watched():
                call(**{**sound(name, receivers, argument), argument: value})
        except GlmmError:
            continue
        except Exception as error:
            foreign.append(f"{argument} = {label}: {type(error).__name__}: {error}")
    assert not foreign, "\n".join(foreign)
