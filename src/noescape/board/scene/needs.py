"""What the board room needs beyond the plain installation, said in one way."""

from __future__ import annotations

from noescape.records import UsageError


def not_installed(package: str, why: str) -> UsageError:
    """The error for an optional package that is not there."""
    return UsageError(f"{why} needs {package}, which is not installed: pip install 'noescape[board]'")
