"""A photo laid on the render of the same board, by mutual information."""
