"""Tables in other packages' terms, and files."""

from __future__ import annotations

import os

from glmmjax.fitted import FittedModel
from glmmjax.storage import save_fit

__all__ = ["Exchange"]


class Exchange:
    """How a fit leaves Python."""

    fitted_model: FittedModel

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a file, from which ``glmmjax.load(path)`` brings it back.

        The file is a zip of JSON and arrays and holds no code: the columns that the model used, all rows of them, the arguments of
        ``mixed_model``, the estimates and the record of convergence. Of a streamed fit it holds no rows. The functions of a family of
        your own, and functions that a formula calls, are code: ``load`` asks for them again. A function given as ``progress`` is left out.

        Parameters
        ----------
        path : of the file, which is replaced if it is there; any name, such as ``"model.glmmjax"``.

        Raises
        ------
        ArgumentError
            For a path in no folder, a column or an argument that cannot be written, and data that have changed since the fit.
        """
        save_fit(self.fitted_model, path)
