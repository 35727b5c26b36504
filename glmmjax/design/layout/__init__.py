"""From rows to blocks of clusters.

- ``block_files``
- ``grouping``: Rows -> padded blocks of clusters, and back: the index layout behind ``likelihood.clusters.ClusterData``
- ``new_values``: Arrays in the caller's order of rows or clusters -> ``ClusterData`` with these in the place of its own
- ``packing``: Columns of rows -> the arrays of ``ClusterData``, on the device
- ``split_clusters``
"""
