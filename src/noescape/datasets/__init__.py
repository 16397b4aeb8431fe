"""Layouts of images on disk: readers, writers, imports of public data sets, and the check of a data set."""

from noescape.datasets.check import CheckReport, check_dataset
from noescape.datasets.coco import import_coco, read_coco
from noescape.datasets.dataset import Dataset, data_digest
from noescape.datasets.deeppcb import import_deeppcb
from noescape.datasets.elpv import import_elpv
from noescape.datasets.folder import read_folder, read_labelled_folder
from noescape.datasets.magnetic_tile import import_magnetic_tile
from noescape.datasets.mvtec import categories, category_folder, read_mvtec, scan_mvtec
from noescape.datasets.preview import preview_png
from noescape.datasets.visa import import_visa, read_visa
from noescape.datasets.write import ImportResult, Placement, write_mvtec

__all__ = [
    "CheckReport",
    "Dataset",
    "ImportResult",
    "Placement",
    "categories",
    "category_folder",
    "check_dataset",
    "data_digest",
    "import_coco",
    "import_deeppcb",
    "import_elpv",
    "import_magnetic_tile",
    "import_visa",
    "preview_png",
    "read_coco",
    "read_folder",
    "read_labelled_folder",
    "read_mvtec",
    "read_visa",
    "scan_mvtec",
    "write_mvtec",
]
