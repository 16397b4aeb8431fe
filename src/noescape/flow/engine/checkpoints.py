"""Checkpoints of a running task: uploaded now and then, and once more at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from noescape.flow.engine.layout import TaskFolder
from noescape.flow.engine.places import local_place
from noescape.flow.engine.shop import Shop
from noescape.flow.format.spec import Checkpoint
from noescape.flow.format.units import parse_duration
from noescape.records import NoescapeError


class Checkpoints:
    """One thread per checkpoint. An upload that fails on the way is a notice; the last one has to succeed."""

    def __init__(self, shop: Shop, task: str, folder: TaskFolder, checkpoints: Sequence[Checkpoint]) -> None:
        self._shop, self._task, self._folder, self._all = shop, task, folder, checkpoints
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(one,), daemon=True) for one in checkpoints]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """No further rounds; waits for the one that is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def last(self, on_bytes: Callable[[int], None]) -> None:
        """Upload all of them as they are now."""
        for one in self._all:
            self._upload(one, on_bytes)

    def _repeat(self, one: Checkpoint) -> None:
        while not self._over.wait(max(0.05, parse_duration(one.frequency))):
            try:
                self._upload(one, None)
            except (OSError, NoescapeError) as error:
                self._shop.note(f"task {self._task}: checkpoint {one.path} was not uploaded this time: {error}")

    def _upload(self, one: Checkpoint, on_bytes: Callable[[int], None] | None) -> None:
        from noescape.flow.engine.urls import store_at

        source = local_place(self._folder, one.path)
        if source.exists():
            owner = self._shop.owner(self._task)
            store_at(self._shop, one.place).upload(source, regex=one.regex, owner=owner, on_bytes=on_bytes)
