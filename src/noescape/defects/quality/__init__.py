"""How good generated defect pictures are: beside real ones, beside their clean originals, beside each other."""
