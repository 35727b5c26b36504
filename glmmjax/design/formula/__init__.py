"""From the text of a formula to terms and matrices. Nothing here knows the labels of rows.

- ``tokens``: brackets, operators and names in a text
- ``split``: the text of a formula in pieces that patsy can read
- ``matrices``: matrices from these pieces; only this file calls patsy
- ``patsy_state``: the values that patsy has learned from the rows, in plain types and back
- ``rank``: columns that are linear combinations of others
"""
