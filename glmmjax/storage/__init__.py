"""Fits in files: a versioned zip of JSON and arrays, from which the design is built again and the numbers are put back.

``archive`` is the file, ``values``, ``columns`` and ``families`` are what stands in it, ``fits`` is the record of a fit and ``streamed``
the design of one whose rows were never in memory. No code is written and none is run when a file is read.
"""

from glmmjax.storage.fits import read_fit as read_fit
from glmmjax.storage.fits import save_fit as save_fit
