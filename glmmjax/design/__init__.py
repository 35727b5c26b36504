"""From formulas and tables to arrays, and the only home of patsy and pandas below the tables.

``arguments`` holds what a caller gave, ``formula`` splits the text (``tokens`` reads it), ``columns`` finds the rows and columns that
are used, ``matrices`` calls patsy, ``predictor`` puts one linear predictor together (``rank`` checks it) and ``predictors`` all of a
model, ``outcome`` and ``groups`` read the outcome and the clusters, ``grouping`` lays rows out in blocks, and ``design`` does all of it
in order.

Rows that come in pieces: ``stream`` reads them, ``survey`` collects what a part of the rows cannot show, ``block_files`` keeps the
blocks on disk, and ``streamed`` does all of it in order.
"""

from glmmjax.design.arguments import ModelArguments as ModelArguments
from glmmjax.design.design import Design as Design
from glmmjax.design.design import build_design as build_design
from glmmjax.design.design import make_design as make_design
from glmmjax.design.formula.matrices import caller_namespace as caller_namespace
from glmmjax.design.formula.split import Bar as Bar
from glmmjax.design.formula.split import FormulaParts as FormulaParts
from glmmjax.design.formula.split import split_formula as split_formula
from glmmjax.design.layout.block_files import BlockFiles as BlockFiles
from glmmjax.design.stream.design import streamed_design as streamed_design
from glmmjax.design.stream.source import Stream as Stream
