"""Nets between neighbours, and copper for them: a maze router on the top side, vias down to a ground plane."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from boards.placing import Part
from noescape.board.parts.model import Pad

STEP = 0.25  # mm, the router's grid
TRACK, CLEAR = 0.2, 0.2  # mm
VIA, DRILL = 0.6, 0.3  # mm
GROUND = 1
REACH = 7.0  # mm between pads that are made one net
_MOVES = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
Spot = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Copper:
    """What was laid: net of each pad (part's place, pad's place), tracks as corners in mm with their net, vias."""

    nets: dict[tuple[int, int], int]
    tracks: tuple[tuple[int, tuple[tuple[float, float], ...]], ...]
    vias: tuple[tuple[int, float, float], ...]


def wire(parts: Sequence[Part], width: float, height: float, keep_out: Sequence[tuple[float, float, float]]) -> Copper:
    """Join neighbouring pads by tracks that keep their clearance; ground pads get a via. `keep_out`: x, y, radius."""
    pads = {(i, j): pad for i, part in enumerate(parts) for j, pad in enumerate(part.pads())}
    nets, wishes = _nets(parts, pads)
    board = _Board(width, height)
    for x, y, radius in keep_out:
        board.claim(-1, x, y, radius, radius, 0.3)
    for key, pad in pads.items():
        board.claim(nets[key], pad.x, pad.y, pad.w / 2, pad.h / 2, CLEAR + TRACK / 2)
    tracks: list[tuple[int, tuple[tuple[float, float], ...]]] = []
    vias: list[tuple[int, float, float]] = []
    for key, pad in pads.items():
        if nets[key] == GROUND and pad.hole <= 0:
            found = board.via_near(GROUND, pad)
            if found:
                vias.append((GROUND, *found[-1]))
                tracks.append((GROUND, tuple(found)))
    for a, b in wishes:
        path = board.route(nets[a], pads[a], pads[b])
        if path:
            tracks.append((nets[a], path))
    return Copper(nets=nets, tracks=tuple(tracks), vias=tuple(vias))


def _nets(
    parts: Sequence[Part], pads: dict[tuple[int, int], Pad]
) -> tuple[dict[tuple[int, int], int], list[tuple[tuple[int, int], tuple[int, int]]]]:
    """A net for every pad, and the pairs to join, near ones first. Second pads of capacitors and every seventh pin of
    larger parts are ground; others are joined with the nearest pad of another part that is still alone."""
    nets: dict[tuple[int, int], int] = {}
    count = [len(part.pads()) for part in parts]
    for i, j in pads:
        plain, many = parts[i].refdes[0] == "C" and j == 1, count[i] > 3 and j % 7 == 3
        if plain or many or (parts[i].land.startswith("QFN") and j == count[i] - 1):
            nets[i, j] = GROUND
    free = [key for key in pads if key not in nets]
    near = []
    for n, a in enumerate(free):
        for b in free[n + 1 :]:
            if a[0] != b[0]:
                far = math.hypot(pads[a].x - pads[b].x, pads[a].y - pads[b].y)
                big = max(count[a[0]], count[b[0]]) > 20
                if far < (2 * REACH if big else REACH):
                    near.append(
                        (round(0.3 * far if big else far, 3), a, b)
                    )  # a large part is what others are there for
    wishes, uses, number = [], dict.fromkeys(free, 0), GROUND
    joined: set[tuple[int, int]] = set()
    for _, a, b in sorted(near):
        limit_a, limit_b = (1 if count[k[0]] > 3 else 2 for k in (a, b))
        together = (min(a[0], b[0]), max(a[0], b[0]))
        if (
            uses[a] >= limit_a
            or uses[b] >= limit_b
            or together in joined
            or (a in nets and b in nets and nets[a] != nets[b])
        ):
            continue
        joined.add(together)
        net = nets.get(a) or nets.get(b)
        if net is None:
            number += 1
            net = number
        nets[a] = nets[b] = net
        uses[a], uses[b] = uses[a] + 1, uses[b] + 1
        wishes.append((a, b))
    for key in free:
        if key not in nets:
            number += 1
            nets[key] = number
    return nets, wishes


class _Board:
    """Cells of the grid, each with the one net that may run through it: 0 any, -1 none."""

    def __init__(self, width: float, height: float) -> None:
        self.nx, self.ny = int(width / STEP) + 1, int(height / STEP) + 1
        self.owner = [0] * (self.nx * self.ny)
        rim = math.ceil(0.6 / STEP)
        for x in range(self.nx):
            for y in range(self.ny):
                if min(x, y, self.nx - 1 - x, self.ny - 1 - y) < rim:
                    self.owner[y * self.nx + x] = -1

    def claim(self, net: int, x: float, y: float, half_w: float, half_h: float, margin: float) -> None:
        """No other net comes nearer than `margin` to this box; where two claim, none may pass."""
        for i in range(
            max(math.ceil((x - half_w - margin) / STEP), 0), min(int((x + half_w + margin) / STEP), self.nx - 1) + 1
        ):
            for j in range(
                max(math.ceil((y - half_h - margin) / STEP), 0), min(int((y + half_h + margin) / STEP), self.ny - 1) + 1
            ):
                dx, dy = max(abs(i * STEP - x) - half_w, 0.0), max(abs(j * STEP - y) - half_h, 0.0)
                if math.hypot(dx, dy) < margin - 1e-6:
                    cell = j * self.nx + i
                    self.owner[cell] = net if self.owner[cell] in (0, net) else -1

    def free(self, net: int, x: int, y: int) -> bool:
        """May a track of this net run here?"""
        return 0 <= x < self.nx and 0 <= y < self.ny and self.owner[y * self.nx + x] in (0, net)

    def via_near(self, net: int, pad: Pad) -> list[tuple[float, float]] | None:
        """A way from the pad's middle straight out to the nearest place for a via; None where all is full."""
        x, y = round(pad.x / STEP), round(pad.y / STEP)
        need = VIA / 2 + CLEAR
        for reach in range(math.ceil((min(pad.w, pad.h) / 2 + VIA / 2 + 0.1) / STEP), 16):
            for dx, dy in (
                (0, -1),
                (1, 0),
                (-1, 0),
                (0, 1),
                (1, -1),
                (-1, -1),
                (1, 1),
                (-1, 1),
            ):  # up last: there the reference stands
                end = x + dx * reach, y + dy * reach
                outside = max(abs(end[0] * STEP - pad.x) - pad.w / 2, abs(end[1] * STEP - pad.y) - pad.h / 2)
                if outside < VIA / 2 + 0.05:
                    continue
                way = all(self.free(net, x + dx * k, y + dy * k) for k in range(reach + 1))
                if way and self._round_free(net, end, need):
                    spot = end[0] * STEP, end[1] * STEP
                    self._claim_track(net, [(x, y), end])
                    self.claim(net, *spot, VIA / 2, VIA / 2, CLEAR + TRACK / 2)
                    return [(x * STEP, y * STEP), spot]
        return None

    def _round_free(self, net: int, spot: Spot, need: float) -> bool:
        r = math.ceil((need - TRACK / 2 - CLEAR) / STEP)
        return all(self.free(net, spot[0] + i, spot[1] + j) for i in range(-r, r + 1) for j in range(-r, r + 1))

    def route(self, net: int, a: Pad, b: Pad) -> tuple[tuple[float, float], ...] | None:
        """The cheapest way from pad to pad (length, and a little for every bend); None for a long detour."""
        start, goal = (round(a.x / STEP), round(a.y / STEP)), (round(b.x / STEP), round(b.y / STEP))
        best: dict[Spot, float] = {start: 0.0}
        came: dict[Spot, tuple[Spot, int]] = {}
        heap: list[tuple[float, int, int]] = [(0.0, *start)]
        done: set[Spot] = set()
        for _ in range(300 + 12 * max(abs(start[0] - goal[0]), abs(start[1] - goal[1]))):
            if not heap:
                return None
            _, x, y = heapq.heappop(heap)
            if (x, y) == goal:
                return self._laid(net, start, goal, came)
            if (x, y) in done:
                continue
            done.add((x, y))
            last = came[x, y][1] if (x, y) in came else -1
            for k, (dx, dy) in enumerate(_MOVES):
                spot = x + dx, y + dy
                if not self.free(net, *spot) or (
                    dx and dy and not (self.free(net, x + dx, y) and self.free(net, x, y + dy))
                ):
                    continue
                turn = 0.0 if last < 0 else 0.35 * min((k - last) % 8, (last - k) % 8)
                cost = best[x, y] + (1.4142 if dx and dy else 1.0) + turn
                if cost < best.get(spot, math.inf) - 1e-9:
                    best[spot], came[spot] = cost, ((x, y), k)
                    far_x, far_y = abs(spot[0] - goal[0]), abs(spot[1] - goal[1])
                    heapq.heappush(heap, (cost + 1.15 * (max(far_x, far_y) + 0.4142 * min(far_x, far_y)), *spot))
        return None

    def _laid(
        self, net: int, start: Spot, goal: Spot, came: dict[Spot, tuple[Spot, int]]
    ) -> tuple[tuple[float, float], ...]:
        cells = [goal]
        while cells[-1] != start:
            cells.append(came[cells[-1]][0])
        corners = [cells[0]]
        for before, here, after in zip(cells[:-2], cells[1:-1], cells[2:], strict=True):
            if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1]):
                corners.append(here)
        corners.append(cells[-1])
        self._claim_track(net, corners)
        return tuple((x * STEP, y * STEP) for x, y in corners)

    def _claim_track(self, net: int, corners: Sequence[Spot]) -> None:
        for (x0, y0), (x1, y1) in pairwise(corners):
            steps = max(abs(x1 - x0), abs(y1 - y0))
            for k in range(steps + 1):
                x, y = x0 + (x1 - x0) * k / max(steps, 1), y0 + (y1 - y0) * k / max(steps, 1)
                self.claim(net, x * STEP, y * STEP, TRACK / 2, TRACK / 2, CLEAR + TRACK / 2)
