"""The frozen records and errors that every room speaks; imports nothing of the package."""

from noescape.records.errors import (
    BundleError,
    DataError,
    ImageError,
    NoescapeError,
    PathEscapeError,
    UsageError,
    WorkError,
)
from noescape.records.types import GOOD_TYPE, UNCERTAIN_TYPE, Box, Defect, Rate, Sample

__all__ = [
    "GOOD_TYPE",
    "UNCERTAIN_TYPE",
    "Box",
    "BundleError",
    "DataError",
    "Defect",
    "ImageError",
    "NoescapeError",
    "PathEscapeError",
    "Rate",
    "Sample",
    "UsageError",
    "WorkError",
]
