"""From formulas and tables to arrays, and the only home of patsy and pandas below the tables.

Rooms, each of which imports only those before it:

- ``formula``: from the text of a formula to terms and columns
- ``columns``: the rows and columns that a model uses
- ``layout``: from rows to blocks of clusters
- ``stream``: rows that come in pieces

Files above them:

- ``frames``: tables of other libraries as DataFrames of pandas
- ``arguments``: the arguments that describe a model, and what their texts mean
- ``design``: ``Design``, the arrays with their labels
- ``kept``: labels of rows and clusters, and what is kept of a stream
- ``levels``: what a design says of its levels of random effects
- ``builder``: makes a ``Design`` from a table, a stream, or what a saved fit keeps of a stream
- ``new_rows``: rows of new data, with the columns of a fitted model
- ``reference_grid``: rows at which a fitted model is looked at
- ``added_terms``: columns that terms would add to a fitted model
- ``permuted_columns``: the columns of a fitted model when the values of a covariate are exchanged
- ``outcomes``: many outcomes of one design
- ``outcome_checks``: these outcomes, checked one by one
- ``own_numbers``: offsets and weights of which each of many fits has its own
- ``hypotheses``: linear hypotheses on named coefficients
"""

from glmmjax.design.arguments import MODEL as MODEL
from glmmjax.design.arguments import ModelArguments as ModelArguments
from glmmjax.design.builder import build_design as build_design
from glmmjax.design.builder import make_design as make_design
from glmmjax.design.builder import streamed_design as streamed_design
from glmmjax.design.design import Design as Design
from glmmjax.design.formula.matrices import caller_namespace as caller_namespace
from glmmjax.design.formula.split import Bar as Bar
from glmmjax.design.formula.split import FormulaParts as FormulaParts
from glmmjax.design.formula.split import split_formula as split_formula
from glmmjax.design.layout.block_files import BlockFiles as BlockFiles
from glmmjax.design.layout.block_files import StreamedRows as StreamedRows
from glmmjax.design.stream.source import Stream as Stream
