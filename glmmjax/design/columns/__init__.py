"""The rows and columns that a model uses.

- ``groups``
- ``outcome``
- ``predictor``
- ``predictors``
- ``recipe``
- ``table``: Which columns and which rows of a table a model uses, and the plain types that formulas can work with
"""
