"""Small data sets for examples and tests. Factors are ordered as in R, so that R's reference level is the reference here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import pandas as pd

__all__ = ["load_bacteria", "load_cbpp", "load_epil", "load_intro_binomial", "load_intro_poisson"]

_SEX = {"sex": ("male", "female")}


def load_intro_binomial() -> pd.DataFrame:
    """A longitudinal binary outcome: 100 subjects (``id``), 8 visits (``time``, 0 to 15), ``sex``, ``y``; 800 rows.

    Source: simulated by the recipe, seed included, of the introductory vignette of the R package GLMMadaptive (D. Rizopoulos;
    the package is GPL (>= 3)). Licence: numbers drawn by a program, shipped under the licence of glmmjax.
    """
    return _read("intro_binomial", _SEX)


def load_intro_poisson() -> pd.DataFrame:
    """A longitudinal count: 100 subjects (``id``), 8 visits (``time``, 0 to 15), ``sex``, ``y``; 800 rows.

    Source: simulated by the recipe, seed included, of the introductory vignette of the R package GLMMadaptive (D. Rizopoulos;
    the package is GPL (>= 3)). Licence: numbers drawn by a program, shipped under the licence of glmmjax.
    """
    return _read("intro_poisson", _SEX)


def load_cbpp() -> pd.DataFrame:
    """Contagious bovine pleuropneumonia: new cases (``incidence``) and the other animals (``noninc``) of 15 herds in 4 periods.

    Source: Lesnoff et al. (2004), Preventive Veterinary Medicine 64, 27-40; as ``cbpp`` in the R package lme4, where ``size`` is
    ``incidence + noninc``. Licence: lme4 is GPL (>= 2); these are the published counts.
    """
    return _read("cbpp", {"period": ("1", "2", "3", "4")})


def load_epil() -> pd.DataFrame:
    """Seizures (``y``) of 59 epileptics (``subject``) in four two-week periods under placebo or progabide (``trt``); 236 rows.

    ``lbase`` and ``lage`` are the centred logs of baseline count and age; ``V4`` marks the fourth period.

    Source: Thall and Vail (1990), Biometrics 46, 657-671; as ``epil`` in the R package MASS (Venables and Ripley 2002).
    Licence: MASS is GPL-2 or GPL-3; these are the published counts.
    """
    return _read("epil", {"trt": ("placebo", "progabide")})


def load_bacteria() -> pd.DataFrame:
    """Presence of H. influenzae (``y``, 1 is present) in 50 children (``ID``) after drug treatments (``trt``); 220 rows.

    ``week2`` is 1 after the second week of the test.

    Source: Dr Amanda Leach via James McBroom, Menzies School of Health Research 1999-2000 Annual Report, p. 20; as ``bacteria`` in
    the R package MASS (Venables and Ripley 2002). Licence: MASS is GPL-2 or GPL-3; these are the recorded outcomes.
    """
    return _read("bacteria", {"trt": ("placebo", "drug", "drug+")})


def _read(name: str, factors: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """The shipped table ``name`` with its factors as categoricals, their levels in the order given."""
    with resources.files(__package__).joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=dict.fromkeys(factors, str))
    return table.assign(**{column: pd.Categorical(table[column], categories=levels) for column, levels in factors.items()})
