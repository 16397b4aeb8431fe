"""Automated optical inspection, from CAD to no escapes."""
