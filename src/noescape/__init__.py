"""Automated optical inspection, from CAD to no escapes.

>>> from noescape import PatchCore
>>> inspector = PatchCore().fit("good/")
>>> inspector.predict("new.png").label
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.anomaly.api import Inspector, PaDiM, PatchCore, Prediction

__all__ = ["Inspector", "PaDiM", "PatchCore", "Prediction"]


def __getattr__(name: str) -> object:
    """Import the heavy parts only when they are asked for, so that `import noescape` is instant."""
    if name in __all__:
        from noescape.anomaly import api

        return getattr(api, name)
    raise AttributeError(f"module 'noescape' has no attribute {name!r}")
