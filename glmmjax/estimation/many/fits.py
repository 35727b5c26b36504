"""``fit_params_many``: many fits as a function of arrays; and the size of the chunks in which a batch runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from glmmjax.arguments import Flags, InstanceOf, Judged, Maybe, takes
from glmmjax.errors import ArgumentError
from glmmjax.estimation.fit import FitInfo, problem_of_clusters
from glmmjax.estimation.many.batch import Batch, RuleOfBatch
from glmmjax.estimation.many.ends import Ends, in_order
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.estimation.many.programs import VARYING, BatchKind, batch_kind, own_values
from glmmjax.estimation.objective import FitSettings, fit_settings
from glmmjax.estimation.penalty import known_penalty
from glmmjax.estimation.search_columns import SearchColumns, search_columns
from glmmjax.estimation.xla.compiler_options import platform_in_force
from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket, ClusterData, padded_rows
from glmmjax.likelihood.covariance import canonical
from glmmjax.likelihood.gauss_hermite import check_n_agq
from glmmjax.likelihood.marginal import check_not_crossed, in_ambient_precision
from glmmjax.likelihood.params import Params, Theta
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.likelihood.sharding import CLUSTERS
from glmmjax.likelihood.structure import Structure
from glmmjax.options import Options, StudentTPenalty

__all__ = ["BatchData", "chunk_size", "fit_params_many"]

_DEFAULT_OPTIONS = Options()
_ANY_UNIT = 1.0  # of outcomes, which differ
_N_AXES = {"y": 3, "X": 4, "Z": 4, "offset": 4, "row_weight": 3, "cluster_weight": 2}  # of the fields of a bucket
_CHUNK = {"cpu": 64, "gpu": 1024, "tpu": 1024}  # fits
_CHUNK_ROWS = 64_000  # padded rows of a chunk at most: beyond, a chunk does not fit into the cache
_SMALLEST_CHUNK = 8
_BLOCK_NUMBERS = 4_000_000  # numbers that are made rows of at a time


class BatchData:
    """The data of fits of one kind: ``buckets`` of one of them, whose fields ``varying`` differ between fits.

    All fits search in the same ``columns``. Where X and Z differ between the fits, these are given, and the buckets have them already.
    """

    def __init__(self, settings: FitSettings, buckets: tuple[Bucket, ...], varying: tuple[str, ...], columns: SearchColumns | None = None):
        if not {"X", "Z"} & set(varying):
            columns = search_columns(settings.problem, buckets, _ANY_UNIT)
            buckets = buckets if columns is None else columns.buckets(buckets)
        self.kind: BatchKind = batch_kind(settings, varying, buckets)
        self._buckets, self._varying, self._columns = buckets, varying, columns

    def rows(self, fits: np.ndarray, values: Any) -> Rows:
        """Fits with their ``values``, bucket by bucket and field by field, with the fits on the first axis."""
        return Rows(fits, self.kind.data.pack(jax.tree.map(np.asarray, values)))

    def run(self, source: Iterator[Rows], options: Options, rule: RuleOfBatch, n: int | None) -> Iterator[Ends]:
        """The ends of all fits, in no certain order; ``n`` is their number, where it is known."""
        nothing: Any = dict.fromkeys(self._varying)
        shared = tuple(bucket._replace(**nothing) for bucket in self._buckets)
        batch = Batch(self.kind, shared, options, rule, chunk_size(self._buckets, n))
        return (ends.back(self._columns) for ends in batch.run(source))


def chunk_size(buckets: tuple[Bucket, ...], n: int | None) -> int:
    """Fits of a chunk: as many as fit into the cache, and no more than there are; a power of two, so that programs are found again."""
    most = min(_CHUNK[platform_in_force()], max(1, _CHUNK_ROWS // padded_rows(buckets)))
    wanted = most if n is None else min(most, max(_SMALLEST_CHUNK, n // 2))
    return 1 << (int(wanted).bit_length() - 1)


@takes(
    clusters=CLUSTERS,
    family=Judged("the name of a family, or a family object"),
    options=InstanceOf(Options, "a glmmjax.Options"),
    n_agq=Judged("a whole number of points"),
    covariance=Maybe(InstanceOf(Structure, "a structure, such as design.covariance")),
    penalty=Maybe(InstanceOf(StudentTPenalty, "a StudentTPenalty(mean, scale, df)")),
    is_intercept=Flags(),
)
def fit_params_many(
    clusters: ClusterData,
    family: str | Family,
    options: Options = _DEFAULT_OPTIONS,
    *,
    n_agq: int = 11,
    covariance: Structure | None = None,
    penalty: StudentTPenalty | None = None,
    is_intercept: tuple[bool, ...] = (),
) -> tuple[Params, FitInfo]:
    """``fit_params`` of many data sets, many times faster than one after the other.

    The fits are stepped together in chunks, on all cores; those that have ended make room for others, so that no fit waits for the slowest.
    It is driven from Python: inside ``jit`` take ``jax.vmap(fit_params)``, which gives the same numbers.

    Parameters
    ----------
    clusters : ``design.clusters`` in which the arrays that differ between the fits have these on an additional first axis, such as
        ``design.with_outcomes(values)``. The fits run in its dtype; the certificate is meant for float64.
    family, options, n_agq, covariance, penalty, is_intercept : as for ``fit_params``.

    Returns
    -------
    params : Params
        The estimates, the fits on the first axis of each array.
    info : FitInfo
        How the fits ended, likewise. ``info.code`` tells which of them have a certificate.

    Raises
    ------
    ArgumentError
        For arguments that do not fit, and clusters in which nothing differs.

    Examples
    --------
    >>> import jax, numpy as np
    >>> data = gj.datasets.load_epil()
    >>> draws = np.random.default_rng(1).poisson(5.0, size=(20, len(data)))
    >>> with jax.enable_x64(True):
    ...     design = gj.make_design("y ~ trt", random="~ 1 | subject", data=data, family="poisson")
    ...     params, info = gj.fit_params_many(design.with_outcomes(draws), "poisson")
    >>> params.beta.shape, info.code.shape
    ((20, 2), (20,))
    """
    clusters = in_ambient_precision(clusters)
    check_not_crossed(clusters, "fit each data set by fit_params")
    varying, n = _varying(clusters.buckets)
    one = clusters._replace(buckets=_of_fit(clusters.buckets, varying, 0))
    problem = problem_of_clusters(one, family, penalty, covariance, is_intercept)
    problem = dataclasses.replace(problem, penalty=known_penalty("penalty", penalty))
    data = BatchData(fit_settings(problem, options), one.buckets, varying)
    rule = RuleOfBatch(Quadrature(check_n_agq(n_agq)), is_exact=True)
    return _as_arrays(
        problem.layout, in_order(list(data.run(_rows(data, clusters.buckets, varying, n), options, rule, n)), problem.layout.size)
    )


def _varying(buckets: tuple[Bucket, ...]) -> tuple[tuple[str, ...], int]:
    """The fields that differ between the fits, and the number of fits.

    Raises
    ------
    ArgumentError
    """
    found = {name: {leaf.ndim - _N_AXES[name] for bucket in buckets for leaf in jax.tree.leaves(getattr(bucket, name))} for name in VARYING}
    varying = tuple(name for name in VARYING if 1 in found[name])
    sizes = {leaf.shape[0] for bucket in buckets for leaf in jax.tree.leaves([getattr(bucket, name) for name in varying])}
    if not varying or len(sizes) != 1 or any(axes - {0, 1} or len(axes) > 1 for axes in found.values()) or not min(sizes):
        raise ArgumentError(
            "clusters must have the fits on an additional first axis of the arrays that differ between them, of one length in all buckets, "
            "such as design.with_outcomes(values); for a single fit take fit_params."
        )
    return varying, sizes.pop()


def _of_fit(buckets: tuple[Bucket, ...], varying: tuple[str, ...], k: Any) -> tuple[Bucket, ...]:
    """The buckets of one fit, or of some on the first axis."""
    own = [{name: jax.tree.map(lambda leaf: leaf[k], getattr(bucket, name)) for name in varying} for bucket in buckets]
    return tuple(bucket._replace(**values) for bucket, values in zip(buckets, own, strict=True))


def _rows(data: BatchData, buckets: tuple[Bucket, ...], varying: tuple[str, ...], n: int) -> Iterator[Rows]:
    step = max(1, _BLOCK_NUMBERS // data.kind.data.size)
    for first in range(0, n, step):
        fits = np.arange(first, min(first + step, n))
        yield data.rows(fits, own_values(varying, _of_fit(buckets, varying, slice(first, first + len(fits)))))


def _as_arrays(layout: Theta, ends: Ends) -> tuple[Params, FitInfo]:
    params = jax.vmap(layout.params)(jax.numpy.asarray(ends.theta))
    params = params._replace(chol=jax.vmap(canonical)(params.chol))
    numbers: Iterable[Any] = (
        ends.code, ends.log_likelihood, ends.objective, ends.decrement, ends.gradient, ends.hessian, ends.n_evaluations.sum(1),
    )  # fmt: skip
    return params, FitInfo(*map(jax.numpy.asarray, numbers))
