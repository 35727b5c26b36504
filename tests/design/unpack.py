"""Arrays of a design taken back to the caller's rows and clusters, read independently of ``likelihood.clusters``."""

import numpy as np


def by_row(design, pick):
    """The (n,) or (k, n) values that ``pick`` takes from each bucket, in the caller's rows."""

    def flat(bucket):
        values = np.asarray(pick(bucket))
        values = values if values.ndim == 4 else values[:, None]
        return np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)

    return np.concatenate([flat(bucket) for bucket in design.clusters.buckets], axis=1)[:, design.order.row_slots]


def outcome(design):
    return by_row(design, lambda bucket: bucket.y)[0]


def fixed(design):
    return by_row(design, lambda bucket: bucket.X[0]).T


def random(design):
    return by_row(design, lambda bucket: bucket.Z[0]).T


def cluster_weights(design):
    flat = np.concatenate([np.asarray(bucket.cluster_weight).ravel() for bucket in design.clusters.buckets])
    return dict(zip(design.groups, flat[design.clusters.slots].tolist(), strict=True)), flat
