"""CAD files into scenes and placement tables."""
