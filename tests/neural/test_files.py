"""A trained network and its mixed model in files: the same to the bit, and nothing of what somebody changed."""

import json
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, StorageError

pytestmark = [pytest.mark.usefixtures("compile_quickly"), pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning")]


def features(weights, x):
    hidden = jnp.tanh(x @ weights["layers"][0])
    return jnp.concatenate([hidden, hidden[:, :1] * weights["scale"].astype(hidden.dtype)], axis=1)


def start():
    return {"layers": (0.5 * jax.random.normal(jax.random.key(1), (2, 3)),), "scale": jnp.full(1, 2.0, jnp.bfloat16)}


def rows():
    draws = np.random.default_rng(2)
    g, x = np.repeat(np.arange(30), 6), draws.uniform(-1, 1, (180, 2)).astype(np.float32)
    y = (draws.uniform(size=180) < 1 / (1 + np.exp(-x[:, 0] - draws.normal(size=30)[g]))) * 1.0
    return pd.DataFrame({"y": y, "g": g}), x


@pytest.fixture(scope="module")
def fit():
    return gj.NeuralMixedModel("y ~ 1", "~ 1 | g", "binomial").fit(features, start(), *rows(), epochs=2, batch=10)


@pytest.fixture
def folder(tmp_path, fit):
    fit.save(tmp_path / "net")
    return tmp_path / "net"


def test_what_is_read_is_what_was_saved(folder, fit):
    data, x = rows()
    again = gj.load_neural(folder, features, start())
    assert str(jax.tree.structure(again.network)) == str(jax.tree.structure(fit.network))
    for read, saved in zip(jax.tree.leaves(again.network), jax.tree.leaves(fit.network), strict=True):
        assert read.dtype == saved.dtype
        assert read.tobytes() == np.asarray(saved).tobytes()
    assert again.history == fit.history
    assert again.columns.names == fit.columns.names
    np.testing.assert_array_equal(again.columns.kept, fit.columns.kept)
    assert again.mixed_model.llf == fit.mixed_model.llf
    np.testing.assert_array_equal(again.mixed_model.cov_params(), fit.mixed_model.cov_params())
    np.testing.assert_array_equal(again.predict(data, x, kind="subject_specific"), fit.predict(data, x, kind="subject_specific"))
    assert again.score(data, x) == fit.score(data, x)
    again.save(folder.parent / "again")
    np.testing.assert_array_equal(gj.load_neural(folder.parent / "again", features, start()).network_output(x), fit.network_output(x))


def rewritten(path: Path, change) -> None:
    """The archive with its document or an array changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def document(**changes):
    def change(entries):
        entries["network.json"] = json.dumps({**json.loads(entries["network.json"]), **changes}).encode()

    return change


def other_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: other_bytes(place / "network.glmmjax"),
        lambda place: (place / "network.glmmjax").write_bytes(b"no archive"),
        lambda place: rewritten(place / "network.glmmjax", document(format="glmmjax fit")),
        lambda place: rewritten(place / "network.glmmjax", document(leaves=[["['scale']", "object", {"array": 0}]])),
        lambda place: rewritten(place / "network.glmmjax", document(leaves=None)),
        lambda place: rewritten(place / "network.glmmjax", document(columns={"tuple": [1]})),
        lambda place: rewritten(place / "network.glmmjax", document(history=[[1, 2]])),
        lambda place: rewritten(place / "network.glmmjax", lambda entries: entries.update({"array_0.npy": b"x"})),
        lambda place: other_bytes(place / "mixed_model.glmmjax"),
    ],
)
def test_files_that_were_changed_are_refused(folder, damage):
    damage(folder)
    with pytest.raises(StorageError, match=r"load_neural\("):
        gj.load_neural(folder, features, start())


def test_a_mixed_model_of_another_fit_is_refused(folder, fit):
    fit.mixed_model.update(fixed="y ~ 1").save(folder / "mixed_model.glmmjax")
    with pytest.raises(StorageError, match="is not the file that was saved with this network"):
        gj.load_neural(folder, features, start())


def test_a_folder_without_them_and_weights_of_another_structure(folder):
    with pytest.raises(ArgumentError, match="there is no such file"):
        gj.load_neural(folder.parent, features, start())
    with pytest.raises(ArgumentError, match=r"init_params must have the structure .*\['layers'\]\[0\].*\(2, 3\).*\(4, 3\)"):
        gj.load_neural(folder, features, {**start(), "layers": (jnp.zeros((4, 3)),)})
    with pytest.raises(ArgumentError, match=r"2 arrays.*3 arrays"):
        gj.load_neural(folder, features, {**start(), "scaled": jnp.zeros(1)})
    (folder / "mixed_model.glmmjax").unlink()
    with pytest.raises(ArgumentError, match=r"has no mixed_model.glmmjax"):
        gj.load_neural(folder, features, start())
