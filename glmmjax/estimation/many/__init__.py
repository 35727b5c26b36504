"""Many fits at once: of one design to many outcomes, or of many data sets of one shape.

From the lowest up; each imports only those before it:

- ``row_format``: a tree of arrays as one row of numbers
- ``programs``: the compiled programs of a chunk of fits
- ``ends``: where fits ended, and which ends an ordinary fit accepts
- ``in_flight``: the fits that are under way
- ``batch``: fits of one kind, stepped together in chunks
- ``fits``: ``fit_params_many``
"""
