"""The simulated count matrix: it is what its recipe says, and its effects are found."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj

SUBJECTS, CELLS, GENES, AFFECTED, EFFECT = 60, 5, 200, 20, 0.9


def recipe() -> pd.DataFrame:
    """The table as it was simulated: negative-binomial counts with an intercept for each subject and a size for each gene."""
    draws = np.random.default_rng(2026)
    subject = np.repeat(np.arange(SUBJECTS), CELLS)
    is_treated = (np.arange(SUBJECTS) % 2 == 1)[subject]
    depth = np.exp(0.35 * draws.normal(size=len(subject))).round(3)
    level, size = draws.normal(0.8, 1.0, size=GENES), np.exp(draws.normal(1.0, 0.4, size=GENES))
    spread = 0.35 * np.exp(0.3 * draws.normal(size=GENES))
    effect = np.where(np.arange(GENES) < AFFECTED, EFFECT * draws.choice([-1.0, 1.0], size=GENES), 0.0)
    of_subject = spread[:, None] * draws.normal(size=(GENES, SUBJECTS))
    mean = depth * np.exp(level[:, None] + effect[:, None] * is_treated + of_subject[:, subject])
    counts = draws.negative_binomial(size[:, None], size[:, None] / (size[:, None] + mean))
    group = pd.Categorical(np.where(is_treated, "treated", "control"), categories=["control", "treated"])
    cells = pd.DataFrame({"subject": subject + 1, "group": group, "depth": depth})
    return pd.concat([cells, pd.DataFrame(counts.T, columns=[f"gene{k + 1:03d}" for k in range(GENES)])], axis=1)


def test_the_file_is_what_its_recipe_makes():
    pd.testing.assert_frame_equal(gj.datasets.load_gene_counts(), recipe())


@pytest.mark.slow
def test_the_genes_that_differ_are_found():
    cells = gj.datasets.load_gene_counts()
    many = gj.fit_many(
        "~ group + offset(np.log(depth))", "~ 1 | subject", data=cells, outcomes=cells.filter(like="gene"), family="negative_binomial"
    )
    assert many.converged.all()
    tests = many.wald_test("group[T.treated] = 0")
    found = (tests["p_adjusted"] < 0.05).to_numpy()
    assert found[:AFFECTED].sum() >= 0.9 * AFFECTED
    assert found[AFFECTED:].sum() <= 5
    size = np.abs(many.fe_params["group[T.treated]"].to_numpy()[:AFFECTED])
    assert abs(size.mean() - EFFECT) < 0.1
