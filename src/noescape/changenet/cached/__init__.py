"""Frozen features of a pair, kept on disk by content, and a light head on them."""
