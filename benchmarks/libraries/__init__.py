"""One file a library, each with the same three names: ``LIBRARIES`` maps a label to a ``Library``."""

from benchmarks.libraries import bench_glmm, bench_glmmjax, bench_gpboost, bench_r
from benchmarks.libraries.base import Library

__all__ = ["LIBRARIES"]

LIBRARIES: dict[str, Library] = bench_glmmjax.LIBRARIES | bench_glmm.LIBRARIES | bench_gpboost.LIBRARIES | bench_r.LIBRARIES
