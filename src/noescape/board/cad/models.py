"""Where the model files lie that a board names: ${KICAD6_3DMODEL_DIR} and its kin, the board's folder, the user's."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from noescape.board.cad.model import ModelRef
from noescape.board.parts.model import Piece
from noescape.board.parts.models import load_model
from noescape.records import NoescapeError

_VARIABLE = re.compile(r"\$[\{\(]([A-Za-z0-9_]+)[\}\)]")
_LIBRARY = re.compile(r"^(KICAD\d*_3DMODEL_DIR|KISYS3DMOD)$")
SUFFIXES = (".wrl", ".step", ".stp", ".stpz", ".wrz")


class Models:
    """Finds and loads models, each file once.

    `folders` stand for KiCad's library variables (else the environment's); a model that is named as .wrl but lies
    there as .step is taken, and the other way round. `cache_dir` keeps the meshes. `missing`: names of files that were
    not found; `broken`: those that could not be read, with the reason; `used`: how often one was given out.
    """

    def __init__(self, board: Path, folders: Sequence[Path] = (), cache_dir: Path | None = None) -> None:
        self._board = board.resolve().parent
        self._cache_dir = cache_dir
        self._folders = [folder.resolve() for folder in folders]
        self._loaded: dict[Path, tuple[Piece, ...] | None] = {}
        self.missing: dict[str, int] = {}
        self.broken: dict[str, str] = {}
        self.used = 0

    def __call__(self, ref: ModelRef) -> tuple[Piece, ...] | None:
        """The pieces of a model as its file has them; None (and a note) where it is not there or cannot be read."""
        path = self.find(ref.path)
        if path is None:
            self.missing[ref.path] = self.missing.get(ref.path, 0) + 1
            return None
        if path not in self._loaded:
            self._loaded[path] = self._load(path, ref.path)
        self.used += self._loaded[path] is not None
        return self._loaded[path]

    def find(self, name: str) -> Path | None:
        """The file for a name in a board, None when nobody has it."""
        for candidate in self._candidates(name.replace("\\", "/")):
            for file in (candidate, *(candidate.with_suffix(suffix) for suffix in SUFFIXES)):
                try:
                    if file.is_file():
                        return file
                except (OSError, ValueError):
                    continue
        return None

    def _candidates(self, name: str) -> list[Path]:
        match = _VARIABLE.match(name)
        if match is None:
            plain = Path(name)
            if plain.is_absolute():
                return [plain]
            return [self._board / plain, *(folder / plain for folder in self._folders)]
        rest = name[match.end() :].lstrip("/")
        if match[1] == "KIPRJMOD":
            return [self._board / rest]
        roots = list(self._folders) if _LIBRARY.match(match[1]) else []
        if value := os.environ.get(match[1]):
            roots.append(Path(value))
        return [root / rest for root in roots]

    def _load(self, path: Path, name: str) -> tuple[Piece, ...] | None:
        try:
            return load_model(path, self._cache_dir)
        except NoescapeError as error:
            self.broken[name] = str(error)
            return None
