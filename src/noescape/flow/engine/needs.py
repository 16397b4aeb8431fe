"""What groups ask of the machine, what is left of it, and which GPU goes to whom."""

from __future__ import annotations

from dataclasses import dataclass

from noescape.flow.format.spec import Group, Resource, Task, Workflow
from noescape.flow.format.units import parse_size, show_size
from noescape.flow.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Cores, bytes and GPUs; of a group: of all its tasks, since they start together."""

    cpus: int
    memory: int
    gpus: int


def resource_of(workflow: Workflow, task: Task) -> Resource:
    """What the task asks for."""
    return workflow.resources.get(task.resource) or Resource()


def need_of(workflow: Workflow, group: Group, machine: Machine) -> Need:
    """What the group takes of this machine: at least one core, at most the whole of cores and memory."""
    asked = [resource_of(workflow, task) for task in group.tasks]
    return Need(
        cpus=min(machine.cpus, sum(max(1, one.cpu or 0) for one in asked)),
        memory=min(machine.memory, sum(parse_size(one.memory) if one.memory else 0 for one in asked)),
        gpus=sum(one.gpu or 0 for one in asked),
    )


def gpu_problems(workflow: Workflow, machine: Machine) -> list[str]:
    """Groups that ask for more GPUs than there are: nothing may start."""
    return [
        f"group {group.name} asks for {need.gpus} GPU(s), this machine has {len(machine.gpus)}: "
        f"lower the request (a knob of the flow), or submit it to a cluster"
        for group in workflow.groups
        if (need := need_of(workflow, group, machine)).gpus > len(machine.gpus)
    ]


def cap_notices(workflow: Workflow, machine: Machine) -> list[str]:
    """One line for every resource that asks for more cores or memory than this machine has."""
    out = []
    for name in dict.fromkeys(task.resource for task in workflow.tasks):
        one = workflow.resources.get(name) or Resource()
        words = []
        if (one.cpu or 0) > machine.cpus:
            words.append(f"{one.cpu} cores (here: {machine.cpus})")
        if one.memory and parse_size(one.memory) > machine.memory:
            words.append(f"{one.memory} memory (here: {show_size(machine.memory)})")
        if words:
            out.append(f"resource {name} asks for {' and '.join(words)}; it gets what is here")
    return out


class Stock:
    """What is free. `take` gives the GPUs that a group may use, `give` brings all of it back."""

    def __init__(self, machine: Machine) -> None:
        self._cpus, self._memory = machine.cpus, machine.memory
        self._gpus = list(machine.gpus)

    @property
    def full(self) -> bool:
        """Whether no group at all could start: each takes a core."""
        return self._cpus <= 0

    def fits(self, need: Need) -> bool:
        """Whether the group could start now."""
        return need.cpus <= self._cpus and need.memory <= self._memory and need.gpus <= len(self._gpus)

    def take(self, need: Need) -> tuple[str, ...]:
        """Reserve it; the names of its GPUs."""
        self._cpus -= need.cpus
        self._memory -= need.memory
        mine, self._gpus = self._gpus[: need.gpus], self._gpus[need.gpus :]
        return tuple(mine)

    def give(self, need: Need, gpus: tuple[str, ...]) -> None:
        """It is free again."""
        self._cpus += need.cpus
        self._memory += need.memory
        self._gpus = sorted([*self._gpus, *gpus])
