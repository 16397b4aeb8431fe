"""A photo laid on a render of its board by mutual information, and the way between their pixels."""
