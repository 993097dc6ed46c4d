"""Evaluation metrics, as defined by the ABAW challenges (2021 and later) where they define one.

A metric that is undefined for its input (no rows, a single class) is NaN rather than an error;
each function says when.
"""

from __future__ import annotations

from training.metrics.abaw import (
    ABAW2,
    ABAW3,
    AU_UNLABELED,
    CHALLENGE_EXPRESSIONS,
    EXPRESSION_UNLABELED,
    RULES,
    VA_UNLABELED,
    Metrics,
    au_metrics,
    au_score,
    au_sums,
    class_count,
    expression_metrics,
    expression_score,
    expression_sums,
    labeled_au,
    labeled_expression,
    labeled_va,
    va_metrics,
    va_score,
    va_sums,
)
from training.metrics.binary import (
    auroc,
    best_f1,
    best_threshold,
    f1,
    precision_recall,
)
from training.metrics.bootstrap import bootstrap
from training.metrics.classes import accuracy, confusion, macro_f1
from training.metrics.continuous import ccc, icc, rmse
from training.metrics.reliability import (
    Reliability,
    au_reliability,
    expression_reliability,
    reliability,
)

__all__ = [
    "ABAW2",
    "ABAW3",
    "AU_UNLABELED",
    "CHALLENGE_EXPRESSIONS",
    "EXPRESSION_UNLABELED",
    "RULES",
    "VA_UNLABELED",
    "Metrics",
    "Reliability",
    "accuracy",
    "au_metrics",
    "au_reliability",
    "au_score",
    "au_sums",
    "auroc",
    "best_f1",
    "best_threshold",
    "bootstrap",
    "ccc",
    "class_count",
    "confusion",
    "expression_metrics",
    "expression_reliability",
    "expression_score",
    "expression_sums",
    "f1",
    "icc",
    "labeled_au",
    "labeled_expression",
    "labeled_va",
    "macro_f1",
    "precision_recall",
    "reliability",
    "rmse",
    "va_metrics",
    "va_score",
    "va_sums",
]
