"""Rows that come in pieces.

- ``source``: a Parquet file or DataFrames, read several times over
- ``scan``: the first reading, which finds levels, clusters and missing values
- ``blocks``: the second reading, which writes the blocks of clusters to files
"""
