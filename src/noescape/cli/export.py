"""."""


def register(c):
    """Nothing."""
