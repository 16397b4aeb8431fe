"""The networks themselves, in plain torch with batch norm folded; one family per file."""
