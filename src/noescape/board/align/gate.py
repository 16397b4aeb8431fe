"""Whether an alignment is taken, and what to do when it is not."""

from __future__ import annotations

import math

from noescape.board.align.config import AlignConfig
from noescape.board.align.lineup import Found
from noescape.board.align.peak import LEAST_AGREEMENT, LEAST_SHARPNESS, LEAST_WINDOWS

_WORDS = {"sx": "sx_range", "sy": "sy_range", "rotation": "rot_range_deg", "tx": "shift_range", "ty": "shift_range"}


def refusals(found: Found, config: AlignConfig) -> list[str]:
    """Why not to believe it, each with its figures and a way out; none: take it."""
    out = []
    least = config.min_mi or 0.0
    if found.mi_after < least:
        by = least - found.mi_after
        out.append(
            f"mutual information is {found.mi_after:.3f}, {by:.3f} under min_mi {least:g} (before it was moved: "
            f"{found.mi_before:.3f}); it holds for one board, camera and size: measure it on photos that fit"
        )
    if not found.peak.stands_out:
        out.append(_not_sharp(found))
    if found.quarter and not config.quarter_turns:
        out.append(
            f"the photo fits when it is turned by {90 * found.quarter} degrees, which quarter_turns: false rules out; "
            "turn the photo, or the camera of the render"
        )
    return out


def notices(found: Found) -> list[str]:
    """What a person should know of an alignment that is taken."""
    out = []
    if found.quarter:
        out.append(f"the photo is turned by {90 * found.quarter} degrees")
    keys = sorted({_WORDS[name] for name in found.outside})
    if keys:
        out.append(f"the best pose lies outside of {' and '.join(keys)}: widen it, or look at blink.gif")
    return out


def _not_sharp(found: Found) -> str:
    peak = found.peak
    if found.mirrored:
        return "the photo fits mirrored: it shows the other side of the board, or was mirrored by its program"
    if peak.windows < LEAST_WINDOWS:
        return (
            f"only {peak.windows} of 16 windows show anything to line up by, {LEAST_WINDOWS} are needed: "
            "render and photograph a part of the board with more on it"
        )
    figures = f"the fit does not stand out: {peak.agreement:.0%} of {peak.windows} windows agree"
    figures += f" (of true fits {LEAST_AGREEMENT:.0%} and more do)"
    if peak.sharpness < LEAST_SHARPNESS:
        figures += f", and the next best place is {max(0.0, 1 - peak.sharpness):.0%} as good"
        if peak.agreement >= LEAST_AGREEMENT:
            return f"{figures}: a pattern that repeats; narrow shift_range under its pitch"
    pose = found.placed.pose
    return (
        f"{figures}. Is it a photo of this board? If so, the ranges may be too narrow: scales {pose.sx:.3f} and "
        f"{pose.sy:.3f}, rotation {math.degrees(pose.rotation):.1f} degrees were the best in them"
    )
