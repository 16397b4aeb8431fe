"""Meshes, a camera and lights into colour, instances and depth: one folder per engine."""
