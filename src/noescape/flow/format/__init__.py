"""The workflow format: read, rendered, checked offline, every problem with its line."""
