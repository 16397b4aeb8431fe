"""What is wrong with a data set, before hours are spent on it: one pass over all images, one report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from noescape.datasets.duplicates import Fingerprint, fingerprint, same_bytes, same_picture
from noescape.datasets.folder import printable
from noescape.datasets.mvtec import Layout, category_folder, scan_mvtec
from noescape.files import sha256_file
from noescape.imaging import MAX_PIXELS, read_picture
from noescape.records import ImageError, Sample


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One file that is not as it should be: `key` in the data set, a stable `code`, and the reason in words."""

    key: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Images that are one and the same. `kind`: bytes or picture. `across`: some train and some test.
    `contradiction`: some are good and some defective."""

    kind: str
    keys: tuple[str, ...]
    across: bool
    contradiction: bool


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A group (part, panel, module) with images on both sides."""

    group: str
    train: int
    test: int


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """All findings about one category. `counts`: images per `split/type`; `sizes`: images per `WxH`; `modes`: images
    per `mode bits` as stored; `usable`: at least one good training image can be read and the layout is whole."""

    root: Path
    category: str
    usable: bool
    problems: tuple[str, ...]
    counts: dict[str, int]
    masked: dict[str, int]
    sizes: dict[str, int]
    modes: dict[str, int]
    groups: dict[str, int]
    unreadable: tuple[Finding, ...]
    masks: tuple[Finding, ...]
    duplicates: tuple[Duplicate, ...]
    leaks: tuple[Leak, ...]
    terms: str | None

    @property
    def findings(self) -> int:
        """How many things there are to look at."""
        return sum(map(len, (self.problems, self.unreadable, self.masks, self.duplicates, self.leaks)))

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; `root` as text."""
        return {**asdict(self), "root": printable(str(self.root)), "findings": self.findings}


def check_dataset(
    folder: Path,
    *,
    category: str | None = None,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Check the category folder `folder` (or `<folder>/<category>`) in the MVTec AD layout, called `name` in the report
    (None: as the folder is).

    Finds layout problems, unreadable images, empty or wrongly sized masks, duplicates within and across training and
    test (by bytes, then by picture), and groups on both sides. A broken file costs one finding. Every image is read
    and decoded once (about 3 ms for 300 x 300 pixels); memory is one image plus 4 KB per image.
    """
    layout = scan_mvtec(category_folder(folder, category), name=name)
    samples = [*layout.train, *layout.test, *layout.uncertain]
    unreadable = [_outside(row, layout.root) for row in layout.refused]
    masks: list[Finding] = list(_shared_masks(samples))
    sizes: Counter[str] = Counter()
    modes: Counter[str] = Counter()
    good: list[Sample] = []
    prints: list[Fingerprint] = []
    for number, sample in enumerate(samples, 1):
        try:
            picture = read_picture(sample.image, max_pixels=max_pixels)
            prints.append(fingerprint(_digest(sample.image), picture.rgb))
            good.append(sample)
            sizes[f"{picture.width}x{picture.height}"] += 1
            modes[f"{picture.mode} {picture.bits}-bit"] += 1
            if sample.mask:
                masks += _check_mask(sample, (picture.width, picture.height), max_pixels)
        except ImageError as error:
            unreadable.append(Finding(key=sample.key, code=error.code, reason=printable(error.reason)))
        if progress:
            progress(number, len(samples))
    readable = {s.key for s in good}
    return CheckReport(
        root=layout.root,
        category=printable(layout.category),
        usable=not layout.problems and any(s.key in readable for s in layout.train),
        problems=tuple(printable(p) for p in layout.problems),
        counts=dict(sorted(Counter(_side_and_type(s) for s in samples).items())),
        masked=dict(sorted(Counter(s.defect_type for s in samples if s.mask).items())),
        sizes=_by_count(sizes),
        modes=_by_count(modes),
        groups=_group_counts(samples),
        unreadable=tuple(unreadable),
        masks=tuple(masks),
        duplicates=tuple(_duplicates(good, prints)),
        leaks=tuple(_leaks(layout)),
        terms=layout.info.get("terms") if isinstance(layout.info.get("terms"), str) else None,
    )


def _check_mask(sample: Sample, size: tuple[int, int], max_pixels: int) -> list[Finding]:
    assert sample.mask is not None  # noqa: S101 - for the type checker
    try:
        mask = read_picture(sample.mask, max_pixels=max_pixels)
    except ImageError as error:
        return [Finding(key=sample.key, code=f"mask_{error.code}", reason=f"its mask {printable(error.reason)}")]
    if (mask.width, mask.height) != size:
        reason = f"its mask is {mask.width}x{mask.height}, the image {size[0]}x{size[1]}"
        return [Finding(key=sample.key, code="mask_size", reason=reason)]
    if not mask.rgb.any():
        return [Finding(key=sample.key, code="mask_blank", reason="its mask marks no pixel")]
    return []


def _shared_masks(samples: Iterable[Sample]) -> list[Finding]:
    users: dict[Path, list[str]] = defaultdict(list)
    for sample in samples:
        if sample.mask:
            users[sample.mask].append(sample.key)
    reason = "shares its mask with {}: names that differ only in the suffix; rename one"
    return [
        Finding(key=key, code="mask_shared", reason=reason.format(keys[0]))
        for keys in users.values()
        for key in keys[1:]
    ]


def _duplicates(samples: Sequence[Sample], prints: Sequence[Fingerprint]) -> list[Duplicate]:
    found = [_duplicate("bytes", [samples[i] for i in members]) for members in same_bytes(prints)]
    found += [_duplicate("picture", [samples[i] for i in members]) for members in same_picture(prints)]
    return sorted(found, key=lambda d: (not d.across, not d.contradiction, d.kind, d.keys))


def _duplicate(kind: str, members: Sequence[Sample]) -> Duplicate:
    sides = {_side_and_type(s).split("/")[0] for s in members}
    labels = {s.label for s in members}
    return Duplicate(
        kind=kind,
        keys=tuple(sorted(s.key for s in members)),
        across=len(sides) > 1,
        contradiction={0, 1} <= labels,
    )


def _leaks(layout: Layout) -> list[Leak]:
    train = Counter(s.group for s in layout.train if s.group is not None)
    test = Counter(s.group for s in (*layout.test, *layout.uncertain) if s.group is not None)
    return [Leak(group=g, train=train[g], test=test[g]) for g in sorted(train.keys() & test.keys())]


def _group_counts(samples: Sequence[Sample]) -> dict[str, int]:
    members: dict[str, set[str]] = {"train": set(), "test": set()}
    for s in samples:
        if s.group is not None:
            members[_side_and_type(s).split("/")[0]].add(s.group)
    return {side: len(names) for side, names in members.items()} if any(members.values()) else {}


def _side_and_type(sample: Sample) -> str:
    return f"{sample.key.split('/')[0]}/{sample.defect_type}"


def _outside(row: ImageError, root: Path) -> Finding:
    return Finding(key=printable(row.path.relative_to(root).as_posix()), code=row.code, reason=printable(row.reason))


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise ImageError(path, "unreadable", f"cannot be read ({error.strerror or error})") from None


def _by_count(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))
