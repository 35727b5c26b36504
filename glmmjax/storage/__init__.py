"""Fits and predictors in files: a versioned zip of JSON and arrays, from which the design is built again and the numbers are put back.

No code is written, and none is run when a file is read.

- ``fits``: the record of a fit
- ``streamed``: the design of a fit whose rows were never in memory
- ``predictors``: dynamic predictions as an exported program
- ``archive``: the file
- ``values``, ``columns``, ``families``, ``laws``: plain values, tables, families and laws of random effects as JSON with arrays
- ``fingerprint``: whether a design that was built again is the one that was fitted
"""

from glmmjax.storage.fits import OwnParts as OwnParts
from glmmjax.storage.fits import read_fit as read_fit
from glmmjax.storage.fits import save_fit as save_fit
from glmmjax.storage.predictors import save_predictor as save_predictor
