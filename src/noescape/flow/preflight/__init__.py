"""Can this flow start, here or on the cluster? All that can be known before, all problems at once, with mends."""
