"""Labelled defect images from a few examples: where a defect goes, how it is drawn, and how good the result is."""
