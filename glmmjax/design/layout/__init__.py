"""From rows to blocks of clusters.

- ``block_files``
- ``grouping``: Rows -> padded blocks of clusters, and back: the index layout behind ``likelihood.clusters.ClusterData``
- ``packing``: Columns of rows -> the arrays of ``ClusterData``, on the device
- ``split_clusters``
"""
