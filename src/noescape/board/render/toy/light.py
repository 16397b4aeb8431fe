"""How bright a point is under rings and a dome: no shadows, no bounces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from noescape.board.model import Dome, Light, Ring
from noescape.board.render.toy.looks import Looks

METAL_SHEEN = 0.85  # what a metal does not spread: with no bounces, flat metal would be black
SPOTS = 8  # a ring shines from this many places
Floats = npt.NDArray[np.float64]


def lit(shown: Looks, lights: Sequence[Light]) -> Floats:
    """Radiance [N, 3] of the pixels towards the camera."""
    diffuse, shine = np.zeros(shown.points.shape), np.zeros(shown.points.shape)
    mirror = 2 * (shown.normals * shown.views).sum(axis=1, keepdims=True) * shown.normals - shown.views
    rough = np.clip(shown.roughness, 0.08, 1.0)
    for light in lights:
        radiance = np.asarray(light.radiance, np.float64)
        if isinstance(light, Dome):
            diffuse += (1 + shown.normals[:, 2:]) / 2 * math.pi * radiance
            shine += np.clip(mirror[:, 2:] * 0.5 + 0.5, 0, 1) * radiance
        else:
            diffuse += _irradiance(light, shown.points, shown.normals)[:, None] * radiance
            shine += _highlight(light, shown.points, mirror, rough)[:, None] * radiance
    metallic = shown.metallic[:, None]
    tint = 0.04 * (1 - metallic) + metallic * shown.base
    matt = shown.base * (1 - METAL_SHEEN * metallic) * diffuse / math.pi
    return matt + tint * shine


def _irradiance(ring: Ring, points: Floats, normals: Floats) -> Floats:
    """Irradiance [N] per unit of radiance, from `SPOTS` places of the ring."""
    out = np.zeros(len(points))
    area = 2 * math.pi * ring.radius * ring.width / SPOTS
    for at in range(SPOTS):
        turn = 2 * math.pi * (at + 0.5) / SPOTS
        out_x, out_y = math.cos(turn), math.sin(turn)
        spot = np.array([ring.x + ring.radius * out_x, ring.y + ring.radius * out_y, ring.z])
        towards = spot - points
        far = np.linalg.norm(towards, axis=1)
        towards = towards / far[:, None]
        axis = np.array([ring.radius * out_x, ring.radius * out_y, ring.z])
        axis /= np.linalg.norm(axis)
        out += area * np.maximum((towards * normals).sum(axis=1), 0) * np.maximum(towards @ axis, 0) / far**2
    return out


def _highlight(ring: Ring, points: Floats, mirror: Floats, rough: Floats) -> Floats:
    """Share [N] of the mirrored ray's lobe that the ring fills, as a band of its height above the board."""
    flat = points[:, :2] - [ring.x, ring.y]
    along = mirror[:, :2] / np.maximum(np.linalg.norm(mirror[:, :2], axis=1, keepdims=True), 1e-9)
    # Where the mirrored ray's azimuth meets the ring: |flat + reach * along| = radius.
    inner = (flat * along).sum(axis=1)
    reach = -inner + np.sqrt(np.maximum(inner**2 + ring.radius**2 - (flat**2).sum(axis=1), 0))
    rise = np.maximum(ring.z - points[:, 2], 1e-6)
    wanted = np.arctan2(reach, rise)
    has = np.arccos(np.clip(mirror[:, 2], -1, 1))
    half = np.arctan2(ring.width / 2, np.hypot(ring.radius, ring.z))
    spread = half + 0.6 * rough**2
    return np.asarray(np.exp(-(((has - wanted) / spread) ** 2)) * half / spread)
