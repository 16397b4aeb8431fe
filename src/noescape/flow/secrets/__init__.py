"""Credentials: where they come from, who gets them, and that nobody else sees them."""
