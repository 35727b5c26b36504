"""Mixed models as estimators of scikit-learn, which is imported with this package and is no requirement of glmmjax.

``from glmmjax.sklearn import MixedModelClassifier, MixedModelRegressor``. They take arrays and tables without a formula: every column of
``X`` is a fixed effect, and ``groups``, which ``fit`` takes beside ``X``, says which rows share random effects. What they fit is a
``MixedModelResults``, the attribute ``mixed_model_``.

- ``estimators``: ``MixedModelRegressor`` and ``MixedModelClassifier``
- ``rows``: what ``fit`` and ``predict`` take, as scikit-learn checks it
"""

try:
    from glmmjax.sklearn.estimators import MixedModelClassifier, MixedModelRegressor
except ImportError as error:
    raise ImportError(f"glmmjax.sklearn needs scikit-learn, 1.6 or later ({error}): pip install 'glmmjax[sklearn]'.") from None

__all__ = ["MixedModelClassifier", "MixedModelRegressor"]
