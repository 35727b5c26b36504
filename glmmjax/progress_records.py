"""What is told of counted work while it runs: many fits, the epochs of a training, refits."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Counted", "ManyProgress", "RefitProgress", "TrainingProgress"]


class ManyProgress(NamedTuple):
    """What a monitor of many fits is told.

    Attributes
    ----------
    n_done : fits that have ended
    n : number of fits, None where it is not known
    n_certified : fits with a certificate
    n_failed : fits without one
    seconds : since the beginning
    """

    n_done: int
    n: int | None
    n_certified: int
    n_failed: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """About what the other fits will take; None where that is not known."""
        return None if self.n is None or not self.n_done else self.seconds * (self.n - self.n_done) / self.n_done

    @property
    def place(self) -> str:
        """How far it has come, for an interruption."""
        return f"after {self.n_done:,} of many fits"

    @property
    def counted(self) -> tuple[int, int | None, str]:
        """How many are done, of how many, and what they are."""
        return self.n_done, self.n, "fits"

    @property
    def note(self) -> str:
        """What is said beside the count."""
        return f"{self.n_failed:,} without certificate" if self.n_failed else ""

    @property
    def text(self) -> str:
        """One line."""
        total, left = "" if self.n is None else f" of {self.n:,}", self.seconds_left
        until = "" if left is None else f", {left:.0f} s left"
        return f"{self.n_done:,}{total} fits done, {self.n_certified:,} certified, {self.n_failed:,} without certificate{until}"


class TrainingProgress(NamedTuple):
    """What a monitor of a training is told after every epoch.

    Attributes
    ----------
    epoch : from 1 on
    n_epochs : at most
    loss : mean over the batches of the epoch, a cluster
    validation_loss : of the clusters that are held back, a cluster; None without these
    n_skipped : steps that were not taken, because the loss or its gradient was not finite
    seconds : since the beginning
    """

    epoch: int
    n_epochs: int
    loss: float
    validation_loss: float | None
    n_skipped: int
    seconds: float

    @property
    def place(self) -> str:
        """How far it has come, for an interruption."""
        return f"in training, after epoch {self.epoch}"

    @property
    def counted(self) -> tuple[int, int | None, str]:
        """How many are done, of how many, and what they are."""
        return self.epoch, self.n_epochs, "epochs"

    @property
    def note(self) -> str:
        """What is said beside the count."""
        return f"loss {self.loss:.4f}" if self.validation_loss is None else f"loss {self.loss:.4f}, held back {self.validation_loss:.4f}"

    @property
    def text(self) -> str:
        """One line."""
        held_back = "" if self.validation_loss is None else f", {self.validation_loss:.4f} on clusters held back"
        skipped = f", {self.n_skipped} steps skipped" if self.n_skipped else ""
        return f"epoch {self.epoch} of {self.n_epochs}, loss {self.loss:.4f}{held_back}{skipped}"


class RefitProgress(NamedTuple):
    """What a monitor of refits to other data sets is told.

    Attributes
    ----------
    n_done : refits that have ended
    n : number of refits
    seconds : since the beginning
    """

    n_done: int
    n: int
    seconds: float

    @property
    def place(self) -> str:
        """How far it has come, for an interruption."""
        return f"after {self.n_done:,} of {self.n:,} refits"

    @property
    def counted(self) -> tuple[int, int | None, str]:
        """How many are done, of how many, and what they are."""
        return self.n_done, self.n, "refits"

    @property
    def note(self) -> str:
        """What is said beside the count."""
        return ""

    @property
    def text(self) -> str:
        """One line."""
        return f"{self.n_done:,} of {self.n:,} refits done, {self.seconds:.0f} s"


Counted = ManyProgress | TrainingProgress | RefitProgress
