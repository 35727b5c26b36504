"""What the axes of a plot say of a mean: of which outcome, and of which subjects."""

from __future__ import annotations

from glmmjax.fitted import FittedModel

__all__ = ["KIND_TEXTS", "outcome_text", "quantity_text"]

KIND_TEXTS = {"mean_subject": "random effects 0", "marginal": "population average", "zero_part": "random effects 0"}


def outcome_text(fitted: FittedModel) -> str:
    """The mean of the outcome in words: ``Pr(infected = yes)`` for a 0/1 outcome."""
    family, design = fitted.problem.family, fitted.design
    columns = design.formula.outcome_columns
    if family.is_ordinal:
        return f"Pr({design.outcome_name} = level)"
    if family.has_trials and len(columns) > 1:
        return f"Pr({columns[0]})"
    if family.is_binary:
        return f"Pr({design.outcome_name} = {1 if design.success_level is None else design.success_level})"
    return f"mean of {design.outcome_name}"


def quantity_text(fitted: FittedModel, scale: str, kinds: tuple[str, ...]) -> str:
    """The label of an axis of effects: the mean, or the scale of its link, and for a single kind whose mean it is."""
    family, is_zero = fitted.problem.family, set(kinds) == {"zero_part"}
    mean = f"Pr({fitted.design.outcome_name} is a structural zero)" if is_zero else outcome_text(fitted)
    if scale == "link":
        is_predictor = set(kinds) == {"mean_subject"} and not family.has_zero_part and not family.is_ordinal
        link = "logit" if is_zero or family.is_ordinal else family.mean_link.name
        mean = "linear predictor" if is_predictor else f"{link} of {mean}"
    if len(kinds) > 1 or not fitted.design.random_names:
        return mean
    return f"{mean}, {KIND_TEXTS[kinds[0]]}"
