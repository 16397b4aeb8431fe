"""Pure functions on pixel arrays, and the one door through which image files come in."""

from noescape.imaging.appearance import Appearance, appearance
from noescape.imaging.components import find_defects, label_regions
from noescape.imaging.decode import MAX_PIXELS, Picture, is_image_name, read_picture
from noescape.imaging.encode import jpeg_bytes, png_bytes
from noescape.imaging.fingerprint import hamming, perceptual_hash
from noescape.imaging.overlay import heat_overlay
from noescape.imaging.resize import blur_map, fit_within, resize_map, resize_mask, resize_rgb
from noescape.imaging.tiles import stitch_max, tile_boxes

__all__ = [
    "MAX_PIXELS",
    "Appearance",
    "Picture",
    "appearance",
    "blur_map",
    "find_defects",
    "fit_within",
    "hamming",
    "heat_overlay",
    "is_image_name",
    "jpeg_bytes",
    "label_regions",
    "perceptual_hash",
    "png_bytes",
    "read_picture",
    "resize_map",
    "resize_mask",
    "resize_rgb",
    "stitch_max",
    "tile_boxes",
]
