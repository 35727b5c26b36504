"""The store of programs: every way in which it can be wrong, and what a later process does with it."""

import os
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla import executables, store, surroundings
from glmmjax.estimation.xla.program import Program
from glmmjax.estimation.xla.store import ProgramStore
from glmmjax.estimation.xla.workers import Workers


@pytest.fixture
def folder(tmp_path):
    """A store of its own for a test."""
    path = tmp_path / "programs"
    gj.program_store(path)
    yield path
    gj.program_store(None)


@pytest.fixture(autouse=True)
def _without_the_cache_of_jax():
    """Which all tests share. JAX asks once whether there is one, and an executable that came from it cannot be stored again."""
    settings: Any = jax.config
    before = settings.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.fixture
def loads(folder):
    """Events of programs that were loaded, as they come."""
    found = []
    listen = lambda event, **_: found.append(event) if event == "/glmmjax/program_loaded" else None  # noqa: E731
    jax.monitoring.register_event_listener(listen)
    yield found
    jax.monitoring.unregister_event_listener(listen)


def double(x):
    return 2.0 * x


def written():
    """Wait until everything is on disk."""
    store._writer().submit(lambda: None).result()


def called(function=double, argument=None, static=(), options=None):
    """The result of a new ``Program``, as in another process: nothing is in memory."""
    executables._held.clear()
    program = Program(function, tuple(range(len(static))), options)
    value = program(*static, np.arange(3.0) if argument is None else argument)
    written()
    return np.asarray(value)


def test_a_program_is_loaded_where_one_was_compiled(folder, loads):
    for n_loaded in (0, 1):
        np.testing.assert_array_equal(called(), [0, 2, 4])
        assert len(loads) == n_loaded
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"function": lambda x: 3.0 * x},
        {"argument": np.arange(4.0)},
        {"argument": np.arange(3, dtype=np.int32)},
        {"argument": (np.arange(3.0),), "function": lambda x: x[0]},
        {"static": (1,), "function": lambda n, x: n * x},
        {"options": lambda: {"xla_backend_optimization_level": 0}},
    ],
    ids=["function", "shape", "dtype", "tree", "static", "options"],
)
def test_another_program_is_not_loaded(folder, loads, other):
    called()
    called(**other)
    assert not loads
    assert len(list(folder.iterdir())) == 2


def test_static_arguments_tell_programs_apart(folder, loads):
    times = lambda n, x: n * x  # noqa: E731
    np.testing.assert_array_equal(called(times, static=(1,)), [0, 1, 2])
    np.testing.assert_array_equal(called(times, static=(2,)), [0, 2, 4])
    np.testing.assert_array_equal(called(times, static=(2,)), [0, 2, 4])
    assert len(loads) == 1


def test_precision_tells_programs_apart(folder, loads):
    assert called().dtype == np.float32
    with jax.enable_x64(True):
        assert called().dtype == np.float64
    assert not loads


@pytest.mark.parametrize("what", ["source", "versions", "optax", "processor", "flags"])
def test_other_surroundings_have_other_programs(folder, loads, monkeypatch, what):
    called()
    if what == "source":
        monkeypatch.setattr(surroundings, "_source", lambda: "another")
    elif what == "versions":
        monkeypatch.setattr(jax, "__version__", "0.0.1")
    elif what == "optax":
        monkeypatch.setattr(surroundings, "_optax", lambda: "0.0.1")
    elif what == "processor":
        monkeypatch.setattr(surroundings, "_processor", lambda: "another")
    else:
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    surroundings.surroundings.cache_clear()
    called()
    surroundings.surroundings.cache_clear()
    assert not loads


def test_another_device_has_other_programs(folder, loads, monkeypatch):
    called()

    class Other:
        """A device of another kind, as far as its name goes."""

        def __str__(self):
            return "TPU_7"

    monkeypatch.setattr("glmmjax.estimation.xla.program.device_in_force", Other)
    called()
    assert not loads


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "old"])
def test_a_damaged_file_is_no_file(folder, loads, damage):
    called()
    (path,) = folder.iterdir()
    content = path.read_bytes()
    flipped = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    changed = {"cut": content[:-10], "flipped": flipped, "empty": b"", "foreign": b"PK" * 100, "old": store._head(b"x") + b"x"}
    path.write_bytes(changed[damage])
    np.testing.assert_array_equal(called(), [0, 2, 4])
    assert not loads
    called()
    assert len(loads) == 1  # and it was mended


def test_a_file_that_runs_code_is_not_opened_from_a_folder_of_others(folder, loads):
    called()
    folder.chmod(0o777)
    called()
    assert not loads
    folder.chmod(0o700)
    (path,) = folder.iterdir()
    path.chmod(0o666)
    called()
    assert not loads


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no such owners")
def test_files_of_another_user_are_not_read(folder, loads, monkeypatch):
    called()
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    called()
    assert not loads


def test_the_folder_is_for_this_user_alone(folder):
    called()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("obstacle", ["a file above", "a full disk"])
def test_where_nothing_can_be_written_the_program_still_runs(tmp_path, monkeypatch, obstacle):
    if obstacle == "a file above":
        (tmp_path / "file").write_text("")
        gj.program_store(tmp_path / "file" / "programs")
    else:
        gj.program_store(tmp_path / "programs")
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left on device")))
    try:
        np.testing.assert_array_equal(called(), [0, 2, 4])
    finally:
        gj.program_store(None)


def test_many_writers_of_one_name_leave_a_whole_file(tmp_path):
    kept, payload = ProgramStore(tmp_path / "programs"), bytes(2_000_000)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: kept._write("one.program", lambda: payload), range(30)))
        found = list(threads.map(lambda _: kept.read("one.program"), range(30)))
    assert found == [payload] * 30
    assert [path.name for path in kept.folder.iterdir()] == ["one.program"]


def test_files_least_recently_used_go_first(tmp_path):
    kept = ProgramStore(tmp_path / "programs", limit=2500)
    for k, name in enumerate(["a.program", "b.program"]):
        kept._write(name, lambda: bytes(1000))
        os.utime(kept.folder / name, (k + 1, k + 1))
    assert kept.read("a.program")  # and so it is used later than b
    kept._write("c.program", lambda: bytes(1000))
    assert sorted(path.name for path in kept.folder.iterdir()) == ["a.program", "c.program"]


def test_what_a_killed_process_has_left_is_cleared_away(tmp_path):
    kept = ProgramStore(tmp_path / "programs")
    kept._write("a.program", lambda: b"a")
    for name, age in (("old.part", 7200), ("new.part", 0)):
        (kept.folder / name).write_bytes(b"")
        os.utime(kept.folder / name, (time.time() - age,) * 2)
    kept._write("b.program", lambda: b"b")
    assert sorted(path.name for path in kept.folder.iterdir()) == ["a.program", "b.program", "new.part"]


def test_traced_calls_are_plain_jax(folder, loads):
    program = Program(lambda x: x**2)
    np.testing.assert_allclose(jax.vmap(jax.grad(program))(jnp.arange(3.0)), [0, 2, 4])
    written()
    assert not folder.exists()


def test_nothing_is_kept_where_the_cache_of_jax_is_in_use(folder, tmp_path):
    """An executable that came from there is not whole when it is serialised again."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "jax"))
    called()
    assert not folder.exists()


def test_several_devices_are_not_stored(folder):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), "d")
    argument = jax.device_put(np.arange(4.0), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d")))
    np.testing.assert_array_equal(called(argument=argument), [0, 2, 4, 6])  # one device: as any other
    assert executables.name_of(double, "x") is not None


def test_the_environment_chooses_the_folder(tmp_path):
    code = "import glmmjax as gj; from glmmjax.estimation.xla.store import store_in_force as s; print(s() and s().folder)"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    for given, expected in (("off", "None"), (str(tmp_path / "p"), str(tmp_path / "p")), ("", str(tmp_path / ".cache/glmmjax/programs"))):
        env = {**os.environ, **home, "GLMMJAX_PROGRAM_STORE": given}
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == expected


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="is a file; give a folder"):
        gj.program_store(tmp_path / "file")


@pytest.mark.parametrize("path", [3, "", "a\0b", b"programs"], ids=repr)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ArgumentError, match=r"must be None \(to keep no programs\), or the path of a folder"):
        gj.program_store(path)


def test_a_path_that_cannot_be_reached_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"cannot be reached.*Give a folder of your own"):
        gj.program_store("~no_such_user/programs")
    with pytest.raises(ArgumentError, match="cannot be reached"):
        gj.program_store(tmp_path / ("x" * 300))


def test_without_a_home_nothing_is_kept(monkeypatch, tmp_path):
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    monkeypatch.setattr(store, "_chosen", [])
    for given in ("", "~no_such_user/programs"):
        monkeypatch.setenv(store.VARIABLE, given)
        store._chosen.clear()
        assert store.store_in_force() is None
    assert gj.program_store("default") is None
    np.testing.assert_array_equal(called(), [0, 2, 4])


def test_an_equal_program_takes_the_executable_that_is_in_memory(folder, loads):
    """As for a ``Custom`` family that a script makes anew for each fit."""
    called()
    assert np.array_equal(Program(lambda x: 5.0 * x)(np.arange(3.0)), [0, 5, 10])
    held = len(executables._held)
    Program(lambda x: 5.0 * x)(np.arange(3.0))
    assert len(executables._held) == held
    assert not loads


def test_programs_that_are_in_memory_are_not_read_ahead(folder, loads):
    """A program that is in memory would never take them."""
    executables._held.clear()
    program = Program(double)
    traced = program.trace(jax.ShapeDtypeStruct((3,), np.float32))
    traced.compile()
    executables.write_together("together", [traced.name])
    written()
    assert executables.load_together("together", jax.devices()[0], Workers(1))
    assert not executables._read_ahead
    executables._held.clear()
    assert executables.load_together("together", jax.devices()[0], Workers(1))
    assert list(executables._read_ahead) == [traced.name]
    assert executables.executable_in_memory(traced.name) is not None
    assert not executables._read_ahead
    assert len(loads) == 1


SESSION = textwrap.dedent("""
    import jax
    events = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, duration_secs, **about: events.append(event))
    import glmmjax as gj
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    compiled = sum(event.endswith("backend_compile_duration") for event in events)
    print(repr(fit.llf), repr(fit.cov_params("CR2").to_numpy().sum()), compiled)
""")


def test_a_second_process_compiles_no_program_of_a_fit_and_gives_the_same_numbers(tmp_path):
    """Its programs call LAPACK, whose kernels JAX registers when it first lowers something."""

    def session():
        env = {**os.environ, "GLMMJAX_PROGRAM_STORE": str(tmp_path / "p"), "JAX_COMPILATION_CACHE_DIR": ""}
        run = subprocess.run([sys.executable, "-c", SESSION], env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        llf, robust, compiled = run.stdout.split()
        return llf, robust, int(compiled)

    first, second = session(), session()
    assert first[:2] == second[:2]
    assert first[2] >= 3  # begin, advance, by_rule
    assert second[2] == 0
