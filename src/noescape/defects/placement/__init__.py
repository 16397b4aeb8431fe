"""Automatic mask placement: how many defects of each type, on which clean image, where and in which shape."""
