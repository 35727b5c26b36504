"""The rows and columns that a model uses.

- ``table``: the columns and rows of a table that are used, and the plain types that formulas can work with
- ``groups``: the cluster variable, the cluster weights and the offset argument
- ``factors``: crossed factors and their levels
- ``outcome``: the outcome as the numbers that a family works with
- ``predictor``: one linear predictor
- ``predictors``: all linear predictors of a model
- ``recipe``: how the same columns are made of other rows
"""
