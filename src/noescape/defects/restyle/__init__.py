"""Appearance: images get the look of a camera, by an image-edit service or by local transfer; geometry stays."""
