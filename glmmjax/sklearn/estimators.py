"""``MixedModelRegressor`` and ``MixedModelClassifier``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_is_fitted

from glmmjax.errors import ArgumentError
from glmmjax.families import Binomial, Family
from glmmjax.model import fit_of
from glmmjax.options import Options, StudentTPenalty
from glmmjax.request import FitRequest
from glmmjax.results import MixedModelResults
from glmmjax.sklearn.rows import FeatureColumns, FitRows, features, fit_rows, group_labels, random_slopes
from glmmjax.values import shown

__all__ = ["MixedModelClassifier", "MixedModelRegressor"]


class _MixedModel(BaseEstimator):
    """What the two estimators share: from ``X``, ``y`` and ``groups`` to a fit, and to the means of rows."""

    mixed_model_: MixedModelResults

    def _fit(self, rows: FitRows, y: np.ndarray) -> None:
        """Fit the model to checked rows, with numbers for their outcomes."""
        columns, slopes, random = FeatureColumns.of(list(rows.X.columns)), random_slopes(self.slopes), None
        frame = rows.X.assign(**{columns.outcome: y})
        if rows.groups is not None:
            frame[columns.groups] = rows.groups
            random = columns.random(slopes)
        elif len(slopes):
            raise ArgumentError(f"slopes={shown(self.slopes)} are random slopes of groups: pass groups= to fit, or leave slopes out.")
        request = FitRequest(
            fixed=columns.fixed, random=random, data=frame, family=self.family, row_weights=rows.weights, penalized=self.penalized,
            n_agq=self.n_agq, options=Options() if self.options is None else self.options,
        )  # fmt: skip
        self.mixed_model_ = fit_of(request, {})

    def _means(self, X: Any, groups: Any) -> np.ndarray:
        """(n,) means of the rows: at the random effects of known groups, averaged over them for all other rows."""
        check_is_fitted(self)
        frame = features(self, X, reset=False)
        fit = self.mixed_model_
        has_groups = fit.fitted_model.design.covariance.q > 0
        means = fit.predict(frame, kind="marginal" if has_groups else "mean_subject").to_numpy(copy=True)
        if groups is not None and has_groups:
            label = FeatureColumns.of(list(frame.columns)).groups
            frame[label] = group_labels(groups, len(frame))
            known = frame[label].isin(fit.fitted_model.design.groups).to_numpy()
            if known.any():
                means[known] = fit.predict(frame[known], kind="subject_specific").to_numpy()
        return means


class MixedModelRegressor(RegressorMixin, _MixedModel):
    r"""A generalized linear mixed model as a regressor of scikit-learn: :math:`g(E[y | b]) = x'\beta + z'b`, :math:`b \sim N(0, D)`.

    Parameters
    ----------
    family : ``"gaussian"``, ``"poisson"``, or any family of ``glmmjax.mixed_model`` with an outcome in one column.
    slopes : columns of ``X`` with a random slope, by name or by number, beside the random intercept of every group.
    n_agq, penalized, options : as in ``glmmjax.mixed_model``; ``options=None`` is ``Options()``.

    Attributes
    ----------
    mixed_model_ : the fit, a ``MixedModelResults``, with everything that can be asked of it
    n_features_in_, feature_names_in_ : as in every estimator

    Raises
    ------
    ArgumentError, DesignError, OutcomeError
        By ``fit``, as ``glmmjax.mixed_model``: a column that is a combination of others is refused by name.

    Notes
    -----
    Columns of a table that hold texts, categories or True and False are factors, with a coefficient for every level but the first.

    In a pipeline or a search ``groups`` travels by scikit-learn's metadata routing: ``sklearn.set_config(enable_metadata_routing=True)``,
    and ``MixedModelRegressor().set_fit_request(groups=True)``. Without it a cross-validation gives ``groups`` to its splitter alone, and
    the model has no random effects.

    Examples
    --------
    >>> from glmmjax.sklearn import MixedModelRegressor
    >>> data = gj.datasets.load_intro_poisson()
    >>> model = MixedModelRegressor("poisson").fit(data[["sex", "time"]], data["y"], groups=data["id"])
    >>> model.mixed_model_.fe_params.round(2).to_dict()
    {'Intercept': 2.27, 'sex[T.female]': -0.84, 'time': 0.22}
    >>> model.predict(data[["sex", "time"]]).shape
    (800,)
    """

    def __init__(
        self,
        family: str | Family = "gaussian",
        *,
        slopes: Any = (),
        n_agq: int | None = None,
        penalized: bool | StudentTPenalty = False,
        options: Options | None = None,
    ):
        self.family = family
        self.slopes = slopes
        self.n_agq = n_agq
        self.penalized = penalized
        self.options = options

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> MixedModelRegressor:
        """Fit the model.

        Parameters
        ----------
        X : (n, p) array or table without missing values.
        y : (n,) outcomes.
        groups : (n,) labels; rows with the same label share random effects. None: a model without random effects.
        sample_weight : (n,) how often each row was seen, the ``row_weights`` of ``glmmjax.mixed_model``.

        Returns
        -------
        The estimator.

        Raises
        ------
        ArgumentError, DesignError, OutcomeError
            As the class says.
        ValueError
            As scikit-learn has it, for shapes, missing values and weights.
        """
        rows = fit_rows(self, X, y, groups, sample_weight)
        self._fit(rows, check_array(rows.y, ensure_2d=False, dtype=np.float64, input_name="y"))
        return self

    def predict(self, X: Any, groups: Any = None) -> np.ndarray:
        """The mean of the outcome of each row.

        Parameters
        ----------
        X : (n, p) as in ``fit``.
        groups : (n,) labels. Rows of a group that was fitted have the mean at its random effects (their conditional modes); rows of any
            other group, and all rows without ``groups``, have the mean over the random effects.

        Returns
        -------
        Array (n,) on the scale of the outcome.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For other columns than those of ``fit``, missing values, and another number of ``groups`` than rows.
        """
        return self._means(X, groups)


class MixedModelClassifier(ClassifierMixin, _MixedModel):
    r"""A mixed model for two classes as a classifier of scikit-learn: :math:`g(P(y = 1 | b)) = x'\beta + z'b`, :math:`b \sim N(0, D)`.

    Parameters
    ----------
    family : ``"binomial"``, or ``glmmjax.families.Binomial(link="probit")`` and its kin.
    slopes, n_agq, penalized, options : as in ``MixedModelRegressor``. Classes that the columns separate have no finite estimate, which
        ``fit`` warns of; ``penalized=True`` gives one.

    Attributes
    ----------
    classes_ : the two labels in their order; the probability of the second is modelled
    mixed_model_, n_features_in_, feature_names_in_ : as in ``MixedModelRegressor``

    Raises
    ------
    ArgumentError, DesignError
        By ``fit``, as ``glmmjax.mixed_model``.

    Examples
    --------
    >>> from glmmjax.sklearn import MixedModelClassifier
    >>> data = gj.datasets.load_bacteria()
    >>> y = data["y"].map({0: "clear", 1: "infected"})
    >>> model = MixedModelClassifier().fit(data[["trt", "week"]], y, groups=data["ID"])
    >>> model.classes_.tolist(), model.predict_proba(data[["trt", "week"]]).shape
    (['clear', 'infected'], (220, 2))
    """

    def __init__(
        self,
        family: str | Family = "binomial",
        *,
        slopes: Any = (),
        n_agq: int | None = None,
        penalized: bool | StudentTPenalty = False,
        options: Options | None = None,
    ):
        self.family = family
        self.slopes = slopes
        self.n_agq = n_agq
        self.penalized = penalized
        self.options = options

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> MixedModelClassifier:
        """Fit the model.

        Parameters
        ----------
        X, groups, sample_weight : as in ``MixedModelRegressor.fit``.
        y : (n,) labels of two classes.

        Returns
        -------
        The estimator.

        Raises
        ------
        ArgumentError, DesignError, OutcomeError
            As the class says.
        ValueError
            As scikit-learn has it, for shapes, missing values and weights.
        """
        if self.family != "binomial" and not isinstance(self.family, Binomial):
            raise ArgumentError(f"family={shown(self.family)} must be 'binomial', or a glmmjax.families.Binomial(link=...).")
        rows = fit_rows(self, X, y, groups, sample_weight)
        check_classification_targets(rows.y)
        classes, codes = np.unique(rows.y, return_inverse=True)
        if len(classes) != 2:
            seen = "one class" if len(classes) == 1 else f"{len(classes)} classes"
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(rows.y)}, and y has {seen}; "
                "for ordered classes see family='cumulative' of glmmjax.mixed_model."
            )
        self._fit(rows, codes.astype(np.float64))
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> np.ndarray:
        """The probabilities of both classes for each row.

        Parameters
        ----------
        X, groups : as in ``MixedModelRegressor.predict``.

        Returns
        -------
        Array (n, 2) in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For other columns than those of ``fit``, missing values, and another number of ``groups`` than rows.
        """
        second = self._means(X, groups)
        return np.column_stack([1.0 - second, second])

    def predict(self, X: Any, groups: Any = None) -> np.ndarray:
        """The likelier class of each row.

        Parameters
        ----------
        X, groups : as in ``MixedModelRegressor.predict``.

        Returns
        -------
        Array (n,) of labels.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For other columns than those of ``fit``, missing values, and another number of ``groups`` than rows.
        """
        likelier = self.predict_proba(X, groups).argmax(axis=1)
        return self.classes_[likelier]
