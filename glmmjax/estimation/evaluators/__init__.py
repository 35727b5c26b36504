"""Where the log-likelihood is evaluated during an ascent.

- ``choice``: Which evaluator a data set gets, and the sample of its clusters that is fitted first
- ``cores``: Blocks in memory, in equal shares, one for each core
- ``disk``: Blocks on disk: chunks of them, read while the one before is evaluated
- ``evaluator``: What an ascent asks of the data
- ``mesh``: Blocks that lie on the devices of a mesh
- ``one_program``: Small data: a phase, evaluations included, is one loop inside one compiled program
- ``parts``: Large data: the log-likelihood of parts of the blocks is evaluated and added up
"""
