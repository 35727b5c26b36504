"""What a design says of its levels of random effects: their names, their clusters, and which effects belong to them."""

from __future__ import annotations

from glmmjax.design.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.levels import CrossedFactors

__all__ = [
    "check_has_clusters",
    "check_one_level",
    "cluster_columns",
    "compared_names",
    "crossed_of",
    "effects_by_level",
    "has_levels",
    "level_names",
]


def level_names(design: Design) -> tuple[str, ...]:
    """The levels: the cluster variable, then ``"school:class"`` for clusters inside clusters; none without random effects."""
    return tuple(dict.fromkeys(bar.level for bar in design.formula.right_sides["main"].bars)) or cluster_columns(design)


def cluster_columns(design: Design) -> tuple[str, ...]:
    """The columns that identify clusters, those of the upper level first."""
    return design.formula.cluster_columns


def effects_by_level(design: Design) -> dict[str, tuple[slice, tuple[str, ...]]]:
    """For each level the places of its effects among all, and their names without the level."""
    if not has_levels(design):
        return {name: (slice(None), design.random_names) for name in level_names(design)}
    if design.factors:
        places = crossed_of(design).effects
    else:
        places = (slice(design.n_upper), slice(design.n_upper, None))
    bare = tuple(name.rpartition(" | ")[0] for name in design.random_names)
    return {name: (place, bare[place]) for name, place in zip(level_names(design), places, strict=True)}


def has_levels(design: Design) -> bool:
    """Whether random effects belong to several grouping factors, nested or crossed."""
    return design.lower is not None or bool(design.factors)


def crossed_of(design: Design) -> CrossedFactors:
    """The arrays of the crossed factors of a design.

    Raises
    ------
    ValueError
        For a design without them.
    """
    found = design.clusters.buckets[0].levels
    if not isinstance(found, CrossedFactors):
        raise ValueError("the design has no crossed factors")
    return found


def compared_names(design: Design, other: Design) -> tuple[str, ...]:
    """``random_names`` of ``design`` for a comparison with ``other``: each with its level where one of them has two."""
    if has_levels(design) or not has_levels(other):
        return design.random_names
    return tuple(f"{name} | {design.group_name}" for name in design.random_names)


def check_has_clusters(design: Design, what: str) -> None:
    """Refuse ``what`` for crossed factors, whose rows belong to no clusters that are independent of each other.

    Raises
    ------
    ArgumentError
    """
    if design.factors:
        check_one_level(design, what)


def check_one_level(design: Design, what: str) -> None:
    """Refuse ``what`` for several grouping factors.

    Raises
    ------
    ArgumentError
    """
    if design.factors:
        raise ArgumentError(
            f"{what} needs one grouping factor, and this model has {len(design.factors)} crossed ones, {', '.join(level_names(design))}. "
            "Predictions at the conditional modes or without random effects, random_effects, simulate, bootstrap(kind='parametric'), "
            "and tests and intervals of the estimates take crossed factors."
        )
    if design.lower is not None:
        upper, lower = level_names(design)
        raise ArgumentError(
            f"{what} needs one level of random effects, and this model has two, {upper} and {lower}. Predictions without random effects "
            "(kind='mean_subject' or 'marginal'), at the conditional modes (kind='subject_specific' without an interval), and "
            "random_effects, simulate and bootstrap take both levels."
        )
