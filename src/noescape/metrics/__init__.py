"""How good an inspector is, and how sure that is: ranking, operating points, pixel figures, exact bounds."""

from noescape.metrics.bounds import CONFIDENCE, Claim, cases_needed, claim, lower_bound, percent, rate, upper_bound
from noescape.metrics.delong import PairedDifference, auroc_bounds, paired_auroc_difference
from noescape.metrics.evaluation import (
    EVALUATOR_VERSION,
    evaluate_images,
    evaluator_digest,
    pixel_summary,
    rate_fields,
)
from noescape.metrics.operating import (
    RECALLS,
    OperatingPoint,
    RecallPoint,
    false_alarm_at_recall,
    operating_point,
    threshold_at_recall,
)
from noescape.metrics.pixel import MAX_FPR, PixelCounts, PixelScores, QuantisationError
from noescape.metrics.ranking import BestF1, auroc, average_precision, best_f1, roc_points

__all__ = [
    "CONFIDENCE",
    "EVALUATOR_VERSION",
    "MAX_FPR",
    "RECALLS",
    "BestF1",
    "Claim",
    "OperatingPoint",
    "PairedDifference",
    "PixelCounts",
    "PixelScores",
    "QuantisationError",
    "RecallPoint",
    "auroc",
    "auroc_bounds",
    "average_precision",
    "best_f1",
    "cases_needed",
    "claim",
    "evaluate_images",
    "evaluator_digest",
    "false_alarm_at_recall",
    "lower_bound",
    "operating_point",
    "paired_auroc_difference",
    "percent",
    "pixel_summary",
    "rate",
    "rate_fields",
    "roc_points",
    "threshold_at_recall",
    "upper_bound",
]
