"""Rows that come in pieces.

- ``design``: The design of a stream: as ``design``, but for the arrays, which go to files block by block
- ``scan``
- ``source``: Rows that are read in pieces: a Parquet file, or DataFrames one after the other, several times over
"""
