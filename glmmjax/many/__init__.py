"""Many fits in one call.

- ``arguments``: the arguments of ``fit_many``, checked once
- ``data``: outcomes as the rows of a batch
- ``first_design``: the design that all fits share
- ``record``: from the ends of a batch to the record of many fits
- ``source``: the contract between a call and what differs between its fits
- ``outcome_source``: one fit for each outcome
- ``level_source``: one fit for each level of a column
- ``run``: one call: the batch, the fits that are made once more by themselves, the record
- ``entry``: ``gj.fit_many``
"""

from glmmjax.many.entry import fit_many as fit_many
