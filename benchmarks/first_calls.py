"""What an analyst waits for: a session of calls, each timed when it is first made and when it is made again.

One process keeps no programs; a second one fills an empty store, and a third finds it filled. A line a call has the seconds, the processor
seconds, and how many programs were traced, compiled and loaded; the worst first calls are named with what they compiled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.session import calls
from benchmarks.table import Table, seconds

__all__ = ["print_first_calls"]

_REPOSITORY = Path(__file__).parents[1]
_VARIABLE = "GLMMJAX_PROGRAM_STORE"
_TRACED = "/jax/core/compile/jaxpr_to_mlir_module_duration"  # once a program; the event of tracing comes for inner functions too
_COMPILED = "/jax/core/compile/backend_compile_duration"
_LOADED = "/glmmjax/program_loaded"
_WORST = 5


class Call(NamedTuple):
    """One call of the session.

    Attributes
    ----------
    label
    wall, cpu : seconds of the first call
    again : seconds of the second call
    traced, compiled, loaded : programs of the first call
    names : of what it compiled, with seconds
    """

    label: str
    wall: float
    cpu: float
    again: float
    traced: int
    compiled: int
    loaded: int
    names: dict[str, float]


def print_first_calls() -> None:
    """Run the session in three new processes and print a table of each that a user meets."""
    _print_session("a session of calls in a process that keeps no programs", _session("off"))
    with tempfile.TemporaryDirectory() as folder:
        _print_session("the same in a process that fills an empty store", _session(folder))
        _print_session("the same in the next process", _session(folder))


def main() -> None:
    """The session in this process; a JSON line a call."""
    events = _Events()
    for label, call in calls():
        first, again = events.during(call), events.during(call)
        print(json.dumps(first._replace(label=label, again=again.wall)), flush=True)


class _Events:
    """Counts the programs that JAX lowers and compiles, and those that glmmjax loads."""

    def __init__(self) -> None:
        import jax

        self._durations: list[tuple[str, str, float]] = []
        self._loaded = 0
        jax.monitoring.register_event_duration_secs_listener(self._timed)
        jax.monitoring.register_event_listener(self._counted)

    def during(self, call: Callable[[], Any]) -> Call:
        """``call`` with what happened meanwhile."""
        n_before, loaded_before, wall, cpu = len(self._durations), self._loaded, time.perf_counter(), time.process_time()
        call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        new = self._durations[n_before:]
        names: dict[str, float] = {}
        for event, name, duration in new:
            if event == _COMPILED:
                names[name] = names.get(name, 0.0) + duration
        traced, compiled = (sum(event == which for event, _, _ in new) for which in (_TRACED, _COMPILED))
        return Call("", wall, cpu, 0.0, traced, compiled, self._loaded - loaded_before, names)

    def _timed(self, event: str, duration_secs: float, **about: str | int) -> None:
        if event in (_TRACED, _COMPILED):
            self._durations.append((event, str(about.get("fun_name", "")), duration_secs))

    def _counted(self, event: str, **_: Any) -> None:
        self._loaded += event == _LOADED


def _session(store: str) -> Iterator[Call]:
    """The calls of a new process, as they come."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}
    command = [sys.executable, "-m", "benchmarks.first_calls"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY, env={**kept, _VARIABLE: store}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Call(*json.loads(line))
    if process.returncode:
        raise SystemExit(f"the session ended with status {process.returncode}")


def _print_session(title: str, found: Iterator[Call]) -> None:
    table = Table(title, "", "first", "CPU", "again", "traced", "compiled", "loaded", label_width=44)
    done = []
    for call in found:
        done.append(call)
        _print_call(table, call)
    wall, cpu, again, traced, compiled, loaded = (sum(column) for column in zip(*(call[1:7] for call in done), strict=True))
    _print_call(table, Call("all", wall, cpu, again, traced, compiled, loaded, {}))
    print("  the worst:")
    for call in sorted(done, key=lambda call: -call.wall)[:_WORST]:
        names = sorted(call.names.items(), key=lambda item: -item[1])
        print(f"    {call.label}: " + (", ".join(f"{name} {seconds(taken)}" for name, taken in names[:4]) or "compiles nothing"))


def _print_call(table: Table, call: Call) -> None:
    times = (seconds(call.wall), seconds(call.cpu), seconds(call.again))
    table.row(call.label, *times, str(call.traced), str(call.compiled), str(call.loaded))


if __name__ == "__main__":
    main()
