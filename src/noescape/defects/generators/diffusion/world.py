"""The processes of one run: who is who, what they add up together, where they wait for each other."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from noescape.records import UsageError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
PATIENCE = datetime.timedelta(hours=12)  # ranks with more or slower rows may be far behind


@dataclass(frozen=True, kw_only=True)
class World:
    """Process `rank` of `size`; `local` counts within its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """Every `size`-th item, from the `rank`-th on: all ranks together have each item once."""
        return list(items[self.rank :: self.size])

    def device(self) -> torch.device:
        """This process's GPU, or the CPU."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(self.local % torch.cuda.device_count())
            return torch.device("cuda", self.local % torch.cuda.device_count())
        return torch.device("cpu")

    def add_up(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place, in the same order of addition on each."""
        import torch.distributed as dist

        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Until all are here. A sum and not a barrier: it needs no device to be named."""
        import torch

        if self.size > 1:
            self.add_up(torch.zeros(1, device=self.device()))
            if torch.cuda.is_available():
                torch.cuda.synchronize()


def world_of(environment: dict[str, str] | None = None) -> World:
    """What `torchrun` says in the environment; one process alone where it says nothing. UsageError for half of it."""
    given = os.environ if environment is None else environment
    there = [name for name in NAMES[:2] if name in given]
    if not there:
        return World()
    try:
        rank, size = int(given["RANK"]), int(given["WORLD_SIZE"])
        local = int(given.get("LOCAL_RANK", rank))
    except (KeyError, ValueError):
        says = ", ".join(f"{name}={given.get(name)!r}" for name in NAMES)
        raise UsageError(f"expected RANK, WORLD_SIZE and LOCAL_RANK as torchrun sets them, got {says}") from None
    if not 0 <= rank < size or local < 0:
        raise UsageError(f"RANK={rank} is not one of WORLD_SIZE={size} processes (LOCAL_RANK={local})")
    return World(rank=rank, size=size, local=local)


@contextmanager
def joined(world: World | None = None) -> Iterator[World]:
    """Meet the other processes (nccl where there are GPUs, else gloo) and part from them at the end."""
    world = world or world_of()
    if world.size == 1:
        yield world
        return
    import torch
    import torch.distributed as dist

    mine = not dist.is_initialized()
    if mine:
        device = world.device()
        backend = "nccl" if device.type == "cuda" else "gloo"
        try:
            dist.init_process_group(backend, timeout=PATIENCE, rank=world.rank, world_size=world.size)
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"the {world.size} processes cannot meet: {error}; start them with torchrun") from None
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    try:
        yield world
    finally:
        if mine:
            dist.destroy_process_group()
