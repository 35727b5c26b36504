"""Many tasks in worker processes, whose memory is bounded and who are replaced when they hang or die."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Done", "Work", "answered", "serve"]

_MOST_MB = 3_000  # of a worker, which makes room for a new one beyond it


class Work(NamedTuple):
    """How a worker lives.

    Attributes
    ----------
    live : called in the new process with a pipe and ``arguments``; ends in ``serve``
    arguments
    limit_s : seconds after which a task hangs
    """

    live: Callable[..., None]
    arguments: tuple[Any, ...]
    limit_s: float


class Done(NamedTuple):
    """The end of a task.

    Attributes
    ----------
    task
    answer : None where there is none
    status : "ok", "hang" or "died"
    seconds
    """

    task: Any
    answer: Any
    status: str
    seconds: float


def answered(
    work: Work, tasks: Iterable[Any], jobs: int, minutes: float = float("inf"), group: Callable[[Any], Any] = lambda task: None
) -> Iterator[Done]:
    """The ends of tasks, in the order in which they come; none is begun after ``minutes``.

    A worker stays with the tasks of its group, whose programs it has compiled, and then begins one that no other has, if there is any.
    """
    todo, end = _Groups(tasks, group), time.monotonic() + 60 * minutes
    workers = [_Worker(work) for _ in range(min(jobs, len(todo)))]
    while workers:
        for worker in workers:
            if worker.is_idle and todo and time.monotonic() < end:
                worker.start(*todo.next_of(worker.group, [other.group for other in workers if other is not worker]))
        ready = connection.wait([worker.pipe for worker in workers if not worker.is_idle], timeout=5.0)
        for worker in workers:
            done = None if worker.is_idle else worker.collect(worker.pipe in ready)
            if done is not None:
                yield done
        if not todo or time.monotonic() > end:
            for worker in [worker for worker in workers if worker.is_idle]:
                worker.stop()
                workers.remove(worker)


class _Groups:
    """Tasks that wait, by group, in the order of the first of each."""

    def __init__(self, tasks: Iterable[Any], group: Callable[[Any], Any]):
        self._tasks: dict[Any, deque[Any]] = {}
        for task in tasks:
            self._tasks.setdefault(group(task), deque()).append(task)

    def __len__(self) -> int:
        return sum(len(tasks) for tasks in self._tasks.values())

    def next_of(self, own: Any, others: list[Any]) -> tuple[Any, Any]:
        """(task, its group): of the own group, else of one that is nobody's, else of the largest."""
        free = [name for name in self._tasks if name not in others]
        name = own if own in self._tasks else free[0] if free else max(self._tasks, key=lambda name: len(self._tasks[name]))
        task = self._tasks[name].popleft()
        if not self._tasks[name]:
            del self._tasks[name]
        return task, name


def serve(pipe: Any, answer: Callable[[Any], Any]) -> None:
    """Answer every task that comes, with the memory that the process takes by then, until None comes."""
    while (task := pipe.recv()) is not None:
        pipe.send((answer(task), _megabytes()))


class _Worker:
    """A process that runs one task after another."""

    def __init__(self, work: Work):
        self._work = work
        self._task: Any = None
        self._since = 0.0
        self.group: Any = None
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=self._work.live, args=(other, *self._work.arguments), daemon=True)
        self._process.start()
        other.close()

    @property
    def is_idle(self) -> bool:
        return self._task is None

    def start(self, task: Any, group: Any) -> None:
        self._task, self._since, self.group = task, time.monotonic(), group
        self.pipe.send(task)

    def collect(self, is_ready: bool) -> Done | None:
        """The end of the task, where it has one of any kind."""
        if not is_ready:
            return self._lost("hang") if time.monotonic() - self._since > self._work.limit_s else None
        try:
            answer, megabytes = self.pipe.recv()
        except (EOFError, ConnectionError):
            return self._lost("died")
        done = self._end(answer, "ok")
        if megabytes > _MOST_MB:
            self.stop()
            self._begin()
        return done

    def _end(self, answer: Any, status: str) -> Done:
        task, self._task = self._task, None
        return Done(task, answer, status, time.monotonic() - self._since)

    def _lost(self, status: str) -> Done:
        self._process.kill()
        self._process.join()
        self._begin()
        return self._end(None, status)

    def stop(self) -> None:
        self.pipe.send(None)
        self._process.join(30)
        self._process.kill()


def _megabytes() -> float:
    """Memory of this process now, or at most so far where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
