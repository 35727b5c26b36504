"""What a design says of its levels of random effects: their names, their clusters, and which effects belong to them."""

from __future__ import annotations

from glmmjax.design.design import Design
from glmmjax.errors import ArgumentError

__all__ = ["check_one_level", "cluster_columns", "compared_names", "effects_by_level", "level_names"]


def level_names(design: Design) -> tuple[str, ...]:
    """The levels: the cluster variable, then ``"school:class"`` for clusters inside clusters; none without random effects."""
    return tuple(dict.fromkeys(bar.level for bar in design.formula.right_sides["main"].bars)) or cluster_columns(design)


def cluster_columns(design: Design) -> tuple[str, ...]:
    """The columns that identify clusters, those of the upper level first."""
    return tuple(name for name in (design.formula.group, design.formula.lower_group) if name is not None)


def effects_by_level(design: Design) -> dict[str, tuple[slice, tuple[str, ...]]]:
    """For each level the places of its effects among all, and their names without the level."""
    if design.lower is None:
        return {name: (slice(None), design.random_names) for name in level_names(design)}
    places = (slice(design.n_upper), slice(design.n_upper, None))
    bare = tuple(name.rpartition(" | ")[0] for name in design.random_names)
    return {name: (place, bare[place]) for name, place in zip(level_names(design), places, strict=True)}


def compared_names(design: Design, other: Design) -> tuple[str, ...]:
    """``random_names`` of ``design`` for a comparison with ``other``: each with its level where one of them has two."""
    if design.lower is not None or other.lower is None:
        return design.random_names
    return tuple(f"{name} | {design.group_name}" for name in design.random_names)


def check_one_level(design: Design, what: str) -> None:
    """Refuse ``what`` for two levels of random effects.

    Raises
    ------
    ArgumentError
    """
    if design.lower is not None:
        upper, lower = level_names(design)
        raise ArgumentError(
            f"{what} needs one level of random effects, and this model has two, {upper} and {lower}. Predictions without random effects "
            "(kind='mean_subject' or 'marginal'), at the conditional modes (kind='subject_specific' without an interval), and "
            "random_effects, simulate and bootstrap take both levels."
        )
