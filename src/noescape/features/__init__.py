"""Backbones, where their weights come from, the runtimes that execute them, and nearest neighbours."""
