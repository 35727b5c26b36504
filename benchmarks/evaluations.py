"""Evaluations of the likelihood from the default start, over the reference cases of the tests."""

from __future__ import annotations

import warnings

import glmmjax as gj
from benchmarks.table import Table

__all__ = ["print_evaluations"]


def print_evaluations() -> None:
    """A line a case; a Newton evaluation has the exact Hessian, every other one value and gradient."""
    from tests.reference_cases import CASES, load_case

    columns = ("q", "points", "EM", "quasi-N", "Newton", "total", "converged")
    table = Table("evaluations from the default start, reference cases", "case", *columns, label_width=28)
    totals = []
    for name in CASES:
        case = load_case(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the last column says it
            found = gj.mixed_model(**case.arguments, n_agq=case.n_agq).convergence
        totals.append(found.n_evaluations)
        counts = (case.q, case.n_agq, found.n_em, found.n_quasi_newton, found.n_newton, found.n_evaluations)
        table.row(name, *(str(count) for count in counts), str(found.has_converged))
    print(f"  largest {max(totals)}, mean {sum(totals) / len(totals):.1f}, over {len(totals)} cases", flush=True)
