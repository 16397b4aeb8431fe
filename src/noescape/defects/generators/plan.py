"""What a generation will do, checked before it starts: the checkpoint, the rows, the files that they name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from noescape.defects.generators.checkpoints import Step, open_checkpoint
from noescape.defects.generators.sources import Sources, name_sources
from noescape.defects.placement.testcase import TestCase, read_testcases
from noescape.files import sha256_file
from noescape.imaging import read_picture
from noescape.records import ImageError, UsageError

CPU_S_PER_PIXEL, BYTES_PER_PIXEL = 3e-7, 8.0  # measured with the exemplar generator on photographs


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One image to make: its number over the whole file, its row, and which image of that row it is."""

    number: int
    row: int
    copy: int
    case: TestCase


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is needed to start: the opened checkpoint, the images asked for, digests and names of their files."""

    step: Step
    asked: tuple[Asked, ...]
    digests: dict[str, str | None]
    sources: Sources


def plan(checkpoint: Path, testcases: Path, *, step: int | None = None) -> Plan:
    """Check what can be checked before work starts. BundleError for the checkpoint, DataError for the rows (all bad
    ones at once), UsageError naming every type that the checkpoint does not know. Reads each file once."""
    opened = open_checkpoint(checkpoint, step)
    cases = read_testcases(testcases)
    known = opened.meta.get("anomaly_types")
    strange = Counter(c.anomaly_type for c in cases if isinstance(known, list) and c.anomaly_type not in known)
    if strange:
        rows = ", ".join(f"{kind} ({count} rows)" for kind, count in sorted(strange.items()))
        raise UsageError(
            f"{testcases} asks for types unknown to the checkpoint: {rows}. It has {', '.join(known or [])}"
        )
    files = sorted({name for c in cases for name in (c.image_filename, c.mask_filename)})
    each = [(i, k, c) for i, c in enumerate(cases) for k in range(c.num_generated_images)]
    asked = tuple(Asked(number=n, row=i, copy=k, case=c) for n, (i, k, c) in enumerate(each))
    digests = {name: digest_of(name) for name in files}
    return Plan(step=opened, asked=asked, digests=digests, sources=name_sources(digests, testcases.parent))


def estimate(planned: Plan) -> str:
    """What a start would do, in words, with an estimate of time and disk."""
    types = Counter(a.case.anomaly_type for a in planned.asked)
    pixels, names = 0, {a.case.image_filename for a in planned.asked}
    for name in sorted(names):
        try:
            size = read_picture(Path(name))
            pixels += size.height * size.width * sum(a.case.image_filename == name for a in planned.asked)
        except ImageError:
            continue
    lines = [f"{kind}: {count} images" for kind, count in sorted(types.items())]
    lines.append(f"checkpoint: {planned.step.path} ({planned.step.generator}, step {planned.step.number})")
    lines.append(f"about {pixels * CPU_S_PER_PIXEL:.0f} CPU-s and {pixels * BYTES_PER_PIXEL / 1e6:.0f} MB of disk")
    return "\n".join(lines)


def digest_of(name: str) -> str | None:
    """Hex sha256 of a file; None where there is none that can be read."""
    try:
        return sha256_file(Path(name)) if Path(name).is_file() else None
    except OSError:
        return None
