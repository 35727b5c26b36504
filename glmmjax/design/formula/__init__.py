"""From the text of a formula to terms and matrices. Nothing here knows the labels of rows.

- ``tokens``: brackets, operators and names in a text
- ``spellings``: what R's users write, as patsy reads it
- ``levels``: groups of random effects: one cluster variable, or one nested in another
- ``split``: the text of a formula in pieces that patsy can read
- ``allow_list``: what may stand in a formula of unknown origin
- ``transforms``: functions of R's formulas that patsy does not have
- ``checks``: what patsy would make of the terms: splines without end, factors of dates or of one level
- ``matrices``: matrices from these pieces; no other file asks patsy for one
- ``patsy_state``: the values that patsy has learned from the rows, in plain types and back
- ``rank``: columns that are linear combinations of others
"""
