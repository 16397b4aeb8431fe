"""Generators of defect images behind one interface."""
