"""Small data sets for examples and tests. Factors are ordered as in R, so that R's reference level is the reference here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import pandas as pd

__all__ = [
    "load_bacteria",
    "load_cbpp",
    "load_epil",
    "load_gene_counts",
    "load_immunisation",
    "load_intro_binomial",
    "load_intro_poisson",
    "load_salamander",
]

_SEX = {"sex": ("male", "female")}


def load_intro_binomial() -> pd.DataFrame:
    """A longitudinal binary outcome: 100 subjects with 8 visits each.

    Returns
    -------
    DataFrame
        (800, 4): subject ``id``, ``time`` of the visit from 0 to 15, ``sex``, and ``y``, 0 or 1.

    References
    ----------
    Simulated by the recipe, seed included, of the introductory vignette of the R package GLMMadaptive (D. Rizopoulos; the package is
    GPL (>= 3)). Licence: numbers drawn by a program, shipped under the licence of glmmjax.

    Examples
    --------
    >>> gj.datasets.load_intro_binomial().head(2).round(3)
       id   time   sex  y
    0   1  0.000  male  0
    1   1  0.142  male  0
    """
    return _read("intro_binomial", _SEX)


def load_intro_poisson() -> pd.DataFrame:
    """A longitudinal count: 100 subjects with 8 visits each.

    Returns
    -------
    DataFrame
        (800, 4): subject ``id``, ``time`` of the visit from 0 to 15, ``sex``, and the count ``y``.

    References
    ----------
    Simulated by the recipe, seed included, of the introductory vignette of the R package GLMMadaptive (D. Rizopoulos; the package is
    GPL (>= 3)). Licence: numbers drawn by a program, shipped under the licence of glmmjax.

    Examples
    --------
    >>> gj.datasets.load_intro_poisson().head(2).round(3)
       id   time   sex  y
    0   1  0.000  male  2
    1   1  0.142  male  1
    """
    return _read("intro_poisson", _SEX)


def load_cbpp() -> pd.DataFrame:
    """Contagious bovine pleuropneumonia in 15 herds in 4 periods.

    Returns
    -------
    DataFrame
        (56, 4): ``herd``, new cases ``incidence``, the other animals ``noninc``, ``period``.

    References
    ----------
    Lesnoff et al. (2004), Preventive Veterinary Medicine 64, 27-40; as ``cbpp`` in the R package lme4, where ``size`` is
    ``incidence + noninc``. Licence: lme4 is GPL (>= 2); these are the published counts.

    Examples
    --------
    >>> gj.datasets.load_cbpp().head(2)
       herd  incidence  noninc period
    0     1          2      12      1
    1     1          3       9      2
    """
    return _read("cbpp", {"period": ("1", "2", "3", "4")})


def load_epil() -> pd.DataFrame:
    """Seizures of 59 epileptics in four two-week periods under placebo or progabide.

    Returns
    -------
    DataFrame
        (236, 7): ``subject``, count ``y``, treatment ``trt``, centred logs of baseline count ``lbase`` and age ``lage``, ``V4``, 1 in the
        fourth period, and ``period``.

    References
    ----------
    Thall and Vail (1990), Biometrics 46, 657-671; as ``epil`` in the R package MASS (Venables and Ripley 2002). Licence: MASS is GPL-2
    or GPL-3; these are the published counts.

    Examples
    --------
    >>> gj.datasets.load_epil().head(2).round(3)
       subject  y      trt  lbase   lage  V4  period
    0        1  5  placebo -0.756  0.114   0       1
    1        1  3  placebo -0.756  0.114   0       2
    """
    return _read("epil", {"trt": ("placebo", "progabide")})


def load_gene_counts() -> pd.DataFrame:
    """Simulated counts of 200 genes in 300 cells of 60 subjects, half of them treated.

    Returns
    -------
    DataFrame
        (300, 203): ``subject``, its ``group``, the sequencing ``depth`` of the cell relative to the others, and the counts ``gene001`` to
        ``gene200``. The treatment multiplies the means of the first twenty genes by exp(0.9) or exp(-0.9), and of no other.

    References
    ----------
    Simulated for glmmjax: negative-binomial counts with an intercept for each subject and gene, and a size for each gene; the recipe, seed
    included, is in the tests of glmmjax (``tests/test_gene_counts.py``). Licence: numbers drawn by a program, shipped under the licence of
    glmmjax.

    Examples
    --------
    >>> cells = gj.datasets.load_gene_counts()
    >>> cells.iloc[:2, :5]
       subject    group  depth  gene001  gene002
    0        1  control  0.758        1        1
    1        1  control  1.088        4        0
    """
    return _read("gene_counts", {"group": ("control", "treated")}, ".csv.gz")


def load_bacteria() -> pd.DataFrame:
    """Presence of H. influenzae in 50 children after drug treatments.

    Returns
    -------
    DataFrame
        (220, 5): child ``ID``, ``y``, 1 where bacteria are present, treatment ``trt``, ``week2``, 1 after the second week, and ``week``.

    References
    ----------
    Dr Amanda Leach via James McBroom, Menzies School of Health Research 1999-2000 Annual Report, p. 20; as ``bacteria`` in the R package
    MASS (Venables and Ripley 2002). Licence: MASS is GPL-2 or GPL-3; these are the recorded outcomes.

    Examples
    --------
    >>> gj.datasets.load_bacteria().head(2)
        ID  y      trt  week2  week
    0  X01  1  placebo      0     0
    1  X01  1  placebo      0     2
    """
    return _read("bacteria", {"trt": ("placebo", "drug", "drug+")})


def load_immunisation() -> pd.DataFrame:
    """Immunisation of 2,159 children of 1,595 mothers in 161 communities of Guatemala.

    Returns
    -------
    DataFrame
        (2159, 13): child ``kid``, mother ``mom``, community ``comm``, whether the child had all vaccinations ``immun`` (N, Y), whether it
        was at least two years old ``kid2p``, whether the mother was over 24 ``mom25p``, birth order ``ord`` (01, 23, 46, 7p), ethnicity
        ``ethn`` (Ladino L, indigenous without N and with Spanish S), education of the mother ``momEd`` and of the husband ``husEd`` (none
        N, primary P, secondary or more S, unknown U), whether the mother ever worked ``momWork``, rural community ``rural``, and the
        share of indigenous people in the community in 1981 ``pcInd81``.

    References
    ----------
    Pebley, Goldman and Rodriguez (1996), Demography 33, 231-247; Rodriguez and Goldman (2001), Journal of the Royal Statistical Society A
    164, 339-355; as ``guImmun`` in the R package mlmRev. Licence: mlmRev is GPL (>= 2); these are the recorded data.

    Examples
    --------
    >>> gj.datasets.load_immunisation()[["mom", "comm", "immun", "kid2p", "rural"]].head(2)
       mom  comm immun kid2p rural
    0    2     1     Y     Y     N
    1  185    36     N     Y     N
    """
    yes = ("N", "Y")
    levels = {"ord": ("01", "23", "46", "7p"), "ethn": ("L", "N", "S"), "momEd": ("N", "P", "S"), "husEd": ("N", "P", "S", "U")}
    return _read("immunisation", {**dict.fromkeys(("immun", "kid2p", "mom25p", "momWork", "rural"), yes), **levels})


def load_salamander() -> pd.DataFrame:
    """Matings of 60 female and 60 male salamanders of two populations, each animal with six partners.

    Returns
    -------
    DataFrame
        (360, 5): ``season`` (Summer, Fall), ``cross``, the populations of female and male (R for Rough Butt, W for White Side: RR, RW, WR,
        WW), numbers of the animals ``female`` and ``male``, and ``mate``, 1 where they mated.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, second edition, section 14.5; as ``salamander`` in the repository of the R
    package lme4. Licence: lme4 is GPL (>= 2); these are the recorded outcomes.

    Examples
    --------
    >>> gj.datasets.load_salamander().head(2)
       season cross  female  male  mate
    0  Summer    RR       1     1     1
    1  Summer    RW       1    14     1
    """
    return _read("salamander", {"season": ("Summer", "Fall"), "cross": ("RR", "RW", "WR", "WW")})


def _read(name: str, factors: Mapping[str, tuple[str, ...]], suffix: str = ".csv") -> pd.DataFrame:
    """The shipped table ``name`` with its factors as categoricals, their levels in the order given."""
    with resources.files(__package__).joinpath(f"{name}{suffix}").open("rb") as file:
        table = pd.read_csv(file, dtype=dict.fromkeys(factors, str), compression="gzip" if suffix.endswith(".gz") else None)
    return table.assign(**{column: pd.Categorical(table[column], categories=levels) for column, levels in factors.items()})


def __getattr__(name: str) -> Any:
    """For names that are not found."""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
