"""From the text of a formula to terms and columns.

- ``matrices``
- ``patsy_state``
- ``rank``: Detection of fixed-effects columns that are linear combinations of others
- ``split``: Splitting of model formulas into the parts that patsy can read. Pure text, no tables
- ``tokens``: Reading of formula texts as Python tokens: brackets, top-level operators and the names used
"""
