"""Which models are tried, and how often: few (family, random effects, shape) triples, because each compiles in its first fit."""

from __future__ import annotations

__all__ = ["GRID", "N_EFFECTS", "RARE", "ROUND", "SHAPES", "SHORT", "STRUCTURE_WEIGHTS", "family_of"]

# name: least and largest number of clusters, all in one padded class; rows of the longest cluster
SHAPES: dict[str, tuple[int, int, int]] = {
    "60x10": (57, 60, 10),
    "200x4": (193, 208, 4),
    "12x50": (12, 12, 50),
    "5x8": (5, 5, 8),
    "100x1": (97, 104, 1),
    "500x8": (490, 500, 8),
}

# random effects: an intercept (q1), with x (q2), independent (q2d), with x and w (q3), an intercept here and in the zero part (q1z)
N_EFFECTS = {"q1": 1, "q2": 2, "q2d": 2, "q3": 3, "q1z": 2}
STRUCTURE_WEIGHTS = {"q1": 4.0, "q2": 3.0, "q2d": 0.7, "q3": 0.5, "q1z": 5.0}

# a shape that is named twice is twice as likely
GRID: dict[str, dict[str, tuple[str, ...]]] = {
    "binomial": {
        "q1": ("60x10", "60x10", "5x8", "12x50", "100x1", "500x8"),
        "q2": ("60x10", "60x10", "5x8"),
        "q2d": ("60x10",),
        "q3": ("60x10",),
    },
    "poisson": {
        "q1": ("60x10", "60x10", "5x8", "200x4", "12x50"),
        "q2": ("60x10", "60x10", "200x4"),
        "q2d": ("60x10",),
        "q3": ("60x10",),
    },
    "negative_binomial": {"q1": ("60x10", "60x10", "5x8"), "q2": ("60x10", "60x10", "200x4"), "q3": ("60x10",)},
    "trials": {"q1": ("60x10", "5x8"), "q2": ("60x10",)},
    "gaussian": {"q1": ("60x10",), "q2": ("60x10",)},
    "gamma": {"q1": ("60x10",), "q2": ("60x10",)},
    "student_t": {"q1": ("60x10", "5x8")},
    "zero_inflated_poisson": {"q1": ("5x8",), "q1z": ("60x10", "60x10", "12x50")},
    "hurdle_negative_binomial": {"q1": ("60x10",), "q1z": ("60x10",)},
    "cumulative": {"q1": ("60x10",), "q2": ("60x10",)},
    "beta": {"q1": ("60x10", "5x8")},
    "conway_maxwell_poisson": {"q1": ("5x8",)},
    "tweedie": {"q1": ("60x10",)},
}

# the families of consecutive data sets
ROUND = (
    *("binomial", "poisson", "negative_binomial", "trials", "gaussian", "gamma", "student_t", "zero_inflated_poisson", "binomial"),
    *("hurdle_negative_binomial", "cumulative", "beta", "poisson", "negative_binomial", "zero_inflated_poisson", "binomial"),
)
RARE = {40: "tweedie", 41: "conway_maxwell_poisson"}  # these take longest: one of 50, by the index modulo 50

# the triples of a short run, one or two a family
SHORT = frozenset(
    {
        *(("binomial", "q1", "60x10"), ("binomial", "q2", "60x10"), ("poisson", "q1", "60x10"), ("poisson", "q2", "60x10")),
        *(("negative_binomial", "q1", "60x10"), ("trials", "q1", "60x10"), ("gaussian", "q1", "60x10"), ("gamma", "q1", "60x10")),
        *(("student_t", "q1", "60x10"), ("zero_inflated_poisson", "q1z", "60x10"), ("hurdle_negative_binomial", "q1", "60x10")),
        *(("cumulative", "q1", "60x10"), ("beta", "q1", "60x10")),
    }
)


def family_of(index: int) -> str:
    """Family of a data set."""
    return RARE.get(index % 50) or ROUND[index % len(ROUND)]
