"""How fits wait, and which of them are stepped next."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from glmmjax.estimation.many.in_flight import InFlight, Rows, Stage
from glmmjax.estimation.many.row_format import RowFormat


def flight(capacity=8):
    form: Any = SimpleNamespace(size=3, dtype="float64")
    settings = SimpleNamespace(problem=SimpleNamespace(layout=SimpleNamespace(size=2)))
    kind: Any = SimpleNamespace(settings=settings, data=form, start=form, first_order=form, newton=form)
    return InFlight(kind, capacity)


def rows(first, n):
    return Rows(np.arange(first, first + n), np.arange(first, first + n, dtype=float)[:, None].repeat(3, axis=1))


def test_fits_come_in_as_there_is_room():
    found, source = flight(), iter([rows(0, 5), rows(5, 7)])
    found.admit(source)
    stage, seats = found.take(8, 2, True)
    assert stage is Stage.BEGIN
    assert list(found.fits[seats]) == list(range(8))
    np.testing.assert_array_equal(found.rows["data"][seats, 0], np.arange(8))
    assert found.take(8, 2, True) is None
    found.release(seats[:3])
    found.admit(source)
    assert sorted(found.fits[found.take(8, 2, True)[1]]) == [8, 9, 10]


def test_the_last_stage_that_fills_a_chunk_is_next():
    found = flight()
    found.wait(Stage.FRESH, [0, 1, 2])
    found.wait(Stage.NEWTON, [3, 4])
    assert found.take(2, 1, False) == (Stage.NEWTON, [3, 4])
    assert found.take(2, 1, False) == (Stage.FRESH, [0, 1])


def test_a_part_of_a_chunk_waits_for_others_unless_nothing_runs():
    found = flight()
    found.wait(Stage.NEWTON, [3])
    assert found.take(4, 1, False) is None
    found.wait(Stage.NEWTON, [5])
    assert found.take(4, 0, False) is None  # nobody is idle
    assert found.take(4, 1, False) == (Stage.NEWTON, [3, 5])
    found.wait(Stage.JUDGE, [1])
    assert found.take(4, 2, True) == (Stage.JUDGE, [1])


def test_a_row_holds_a_tree():
    tree: dict[str, Any] = {"a": np.array([[1.5, -np.inf]]), "b": np.int32(7), "c": np.bool_(True), "d": np.zeros((0, 2))}
    form = RowFormat.of(tree, np.float64)
    row = form.pack({name: np.asarray(leaf) for name, leaf in tree.items()})
    assert form.size == row.shape[-1] == 4
    back = form.unpack(row)
    assert all(back[name].dtype == np.asarray(leaf).dtype and np.array_equal(back[name], leaf) for name, leaf in tree.items())
    many = form.unpack(np.stack([row, row]))
    assert many["a"].shape == (2, 1, 2)
    assert many["b"].tolist() == [7, 7]
