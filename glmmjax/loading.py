"""``load``: a fit from the file that ``fit.save(path)`` wrote."""

from __future__ import annotations

import os

import jax

from glmmjax.arguments import PATH, InstanceOf, Maybe, OneOf, takes
from glmmjax.design import caller_namespace
from glmmjax.families import Family
from glmmjax.likelihood.custom_law import CustomEffects
from glmmjax.model import refit
from glmmjax.results import MixedModelResults
from glmmjax.storage import OwnParts, read_fit

__all__ = ["load"]


@takes(
    path=PATH,
    family=Maybe(InstanceOf(Family, "a family object")),
    random_effects_law=Maybe(InstanceOf(CustomEffects, "a CustomEffects")),
    trust=OneOf(True, False),
)
def load(
    path: str | os.PathLike[str],
    *,
    family: Family | None = None,
    random_effects_law: CustomEffects | None = None,
    trust: bool = False,
) -> MixedModelResults:
    """The fit that ``fit.save(path)`` wrote: everything works as before, and nothing is compiled.

    The file holds text and numbers, and nothing in it is run: its formulas may have columns, numbers, texts, operators, patsy's functions
    and ``np.log`` and its kin. ``update`` finds the columns that the model used and no others.

    Parameters
    ----------
    path : of the file.
    family : the family again, for a fit with one of your own (``glmmjax.families.Custom``), whose functions are not in the file.
    random_effects_law : the law again, for a fit with one of your own (``CustomEffects``), for the same reason.
    trust : evaluate the formulas of the file whatever they are, as those of ``mixed_model``; names that are no columns (a function of your
        own) mean what they mean where ``load`` is called. Only for files that you have written.

    Returns
    -------
    MixedModelResults
        The fit.

    Raises
    ------
    StorageError
        For a file that is no saved fit, is damaged, or has the format of a later version.
    ArgumentError
        For a file that is not there; for a ``family`` or a ``random_effects_law`` that is missing or not wanted.
    FormulaError
        For a formula that could run code, unless ``trust``; then for a name that is no column and not defined where ``load`` is called.
    DesignError
        When such a name, or the family, is not what it was for the fit.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> fit.save("visits.glmmjax")
    >>> f"{gj.load('visits.glmmjax').llf:.4f}"
    '-374.5197'
    """
    with jax.enable_x64(True):
        return MixedModelResults(read_fit(path, OwnParts(family, random_effects_law), caller_namespace() if trust else None), refit)
