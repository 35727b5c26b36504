"""From rows to blocks of clusters.

- ``grouping``: where each row stands in the padded blocks
- ``split_clusters``: long clusters that take several lanes of a block
- ``nesting``: where each row stands where clusters have clusters inside
- ``crossing``: all rows in one block, for crossed factors
- ``new_values``: the blocks with other offsets, outcomes or weights
- ``packing``: blocks in memory, as ``ClusterData``
- ``plain_blocks``: blocks as plain tuples, for exported programs
- ``row_table``: the columns row by row, from which other blocks are gathered
- ``block_files``: blocks on disk
"""
