"""From what was seen of each picture to figures, each beside what real pictures give against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.defects.quality import c2st
from noescape.defects.quality import kid as distance
from noescape.defects.quality.diversity import (
    distance_within,
    exemplars_used,
    mask_spread,
    mean_distance,
    vendi_of,
)
from noescape.defects.quality.look import Made, Real
from noescape.defects.quality.nearest import real_floor

Codes = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
ENOUGH = 20  # pictures a side, under which a distance between two sets is a hint at best
REPEATS = 20


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`value` of the generated pictures and `floor` of real against real, both None where n does not allow one.

    `n` and `n_floor` are the pictures behind them; `words` say how to read it; `more` holds details for programs.
    """

    key: str
    name: str
    value: float | None
    n: int
    floor: float | None = None
    n_floor: int = 0
    words: str = ""
    better: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, numbers rounded to six digits."""
        out: dict[str, Any] = rounded(asdict(self))
        return out


def set_figures(real: Sequence[Real], made: Sequence[Made], seed: int) -> list[Figure]:
    """Distance and separability of the two sets, on the types that both have."""
    shared = {r.picture.kind for r in real} & {m.picture.kind for m in made}
    real = [r for r in real if r.picture.kind in shared]
    made = [m for m in made if m.picture.kind in shared]
    if not real:
        return []
    a, b = (np.stack([r.mean for r in rows]).astype(np.float64) for rows in (real, made))
    scale = np.sqrt(max(float((a**2).mean()), 1e-12))
    types = _codes([*(r.picture.kind for r in real), *(m.picture.kind for m in made)])
    groups = _codes([group_of(r) for r in real])
    return [
        _kid(a / scale, b / scale, types[: len(a)], types[len(a) :], groups, seed),
        _c2st(real, made, a, groups, types[: len(a)], types[len(a) :], seed),
    ]


def in_mix(real: Sequence[Real], made: Sequence[Made], rng: np.random.Generator, most: int) -> list[int]:
    """Numbers of generated pictures, at most `most`, in the proportions of types that the real ones have, so that a
    different mix of types does not pass for a difference of pictures. Drawn by `rng`, ascending."""
    wanted = _counts([r.picture.kind for r in real])
    there: dict[str, list[int]] = {}
    for i, m in enumerate(made):
        there.setdefault(m.picture.kind, []).append(i)
    per_real = min([len(there.get(k, [])) / n for k, n in wanted.items()] + [most / max(1, len(real))])
    out: list[int] = []
    for kind, n in wanted.items():
        have = there.get(kind, [])
        take = min(len(have), int(n * per_real + 1e-9))
        out += [have[i] for i in rng.permutation(len(have))[:take]]
    return sorted(out)


def near_figures(real: Sequence[Real], made: Sequence[Made]) -> list[Figure]:
    """nn_score and mnn_score: means over all pictures, and per type in `more`."""
    floors = {}
    for kind in sorted({r.picture.kind for r in real}):
        rows = [r for r in real if r.picture.kind == kind]
        found = real_floor([r.patches for r in rows], [group_of(r) for r in rows])
        floors[kind] = [f for f in found if f is not None]
    out = []
    for key, name in (("nn_score", "nn_score"), ("mnn_score", "mnn_score (mutual)")):
        per: dict[str, Any] = {}
        values: list[float] = []
        reals: list[float] = []
        for kind in sorted({m.picture.kind for m in made}):
            mine = [getattr(m.near, key) for m in made if m.picture.kind == kind and m.near is not None]
            other = [getattr(f, key) for f in floors.get(kind, [])]
            per[kind] = {"value": _mean(mine), "n": len(mine), "floor": _mean(other), "n_floor": len(other)}
            values, reals = values + mine, reals + (other if mine else [])
        value, floor = _mean(values), _mean(reals)
        words = _near_words(value, floor, reals) if key == "nn_score" else "as nn_score, over mutual best patches alone"
        out.append(
            Figure(
                key=key, name=name, value=value, n=len(values), floor=floor, n_floor=len(reals), words=words,
                better="near the floor", more={"types": per},
            )
        )  # fmt: skip
    return out


def diversity_figures(real: Sequence[Real], made: Sequence[Made], seed: int) -> list[Figure]:
    """Per type, then averaged over types: distances within exemplar clusters, Vendi scores at equal n, masks."""
    rows: dict[str, dict[str, Any]] = {}
    for number, kind in enumerate(sorted({m.picture.kind for m in made})):
        mine = [m for m in made if m.picture.kind == kind]
        other = [r for r in real if r.picture.kind == kind]
        rng = np.random.default_rng((seed, 2, number))
        x = np.stack([m.mean for m in mine])
        y = np.stack([r.mean for r in other]) if other else np.zeros((0, x.shape[1]))
        within = distance_within(x, [_cluster(m, real) for m in mine])
        size = min(len(x), len(y))
        spread, real_spread = mask_spread([m.grid for m in mine]), mask_spread([r.grid for r in other])
        rows[kind] = {
            "n": len(mine), "n_real": len(other),
            "within": within[0] if within else None, "clusters": within[1] if within else 0,
            "real_distance": mean_distance(y),
            "vendi": vendi_of(x, size, rng=rng), "real_vendi": vendi_of(y, size, rng=rng), "vendi_size": size,
            "mask_iou": spread.mean_iou if spread else None, "mask_iou_sd": spread.sd_iou if spread else None,
            "same_masks": spread.same_share if spread else None,
            "real_mask_iou": real_spread.mean_iou if real_spread else None,
            "exemplars": dict(exemplars_used([m.picture.exemplars for m in mine], len(other))),
        }  # fmt: skip
    n, n_real = len(made), sum(r["n_real"] for r in rows.values())

    def over_types(name: str) -> float | None:
        return _mean([r[name] for r in rows.values() if r[name] is not None])

    used = [r["exemplars"] for r in rows.values()]
    known = sum(bool(m.picture.exemplars) for m in made)
    sizes = sorted({r["vendi_size"] for r in rows.values()})
    return [
        Figure(
            key="within_exemplar", name="distance within an exemplar's pictures", value=over_types("within"), n=n,
            floor=over_types("real_distance"), n_floor=n_real, better="higher",
            words="mean 1 - cosine; real: between all of a type, so more than one exemplar can give",
            more={"types": rows},
        ),
        Figure(
            key="vendi", name="Vendi score (kinds of picture)", value=over_types("vendi"), n=n,
            floor=over_types("real_vendi"), n_floor=n_real, better="higher",
            words=f"of random {'/'.join(map(str, sizes))} of a type, as many as there are real ones",
        ),
        Figure(
            key="mask_iou", name="overlap of two masks (IoU)", value=over_types("mask_iou"), n=n,
            floor=over_types("real_mask_iou"), n_floor=n_real, better="lower",
            words=f"{(over_types('same_masks') or 0.0):.0%} of the pairs lie on one place (IoU >= .9)",
        ),
        Figure(
            key="exemplars_used", name="exemplars used", value=float(sum(u["used"] for u in used)) if known else None,
            n=known, n_floor=n_real, words=_used_words(used, known, n),
        ),
    ]  # fmt: skip


def rounded(value: Any) -> Any:
    """Numbers with six significant decimals, NaN as None, through dicts and lists."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value


def _kid(a: Doubles, b: Doubles, types_a: Codes, types_b: Codes, groups: Codes, seed: int) -> Figure:
    found = distance.kid_within(a, b, types_a, types_b)
    null = distance.halves_within(a, groups, types_a, count=REPEATS, rng=np.random.default_rng((seed, 3)))
    limit = float(np.quantile(null, 0.95)) if null else None
    more: dict[str, Any] = {"floor_q95": limit}
    words = "no estimate: no type with 3 pictures a side"
    if found is not None:
        more |= {"standard_error": found[0].standard_error, "types": found[1]}
        value, error = found[0].value, found[0].standard_error
        differ = "differs" if value > 2 * error else "no difference shown"
        words = f"± {error:.3f} (standard error), mean of {found[1]} type(s): {differ} from these very pictures; "
        if limit is None:
            words += "no floor: too few real pictures to halve"
        else:
            where = "under" if value <= limit else "over"
            words += f"{where} what one half of the real ones gives against the other, by parts (95%: {limit:.3f})"
        words += _few(len(a), len(b))
    return Figure(
        key="kid", name="KID (unbiased, within types)", value=found[0].value if found else None,
        n=found[0].m if found else len(b), floor=_mean(null), n_floor=found[0].n if found else len(a), words=words,
        better="lower", more=more,
    )  # fmt: skip


def _c2st(
    real: Sequence[Real], made: Sequence[Made], a: Doubles, groups: Codes, types_a: Codes, types_b: Codes, seed: int
) -> Figure:
    """As many generated pictures as real ones, drawn anew five times."""
    found = []
    by_example = {(r.picture.kind, r.picture.image.name): int(g) for r, g in zip(real, groups, strict=True)}
    for draw in range(5):
        rng = np.random.default_rng((seed, 5, draw))
        kept = in_mix(real, made, rng, len(real))
        if not kept:
            break
        own = [_example_group(made[i], by_example, 1_000_000 + i) for i in kept]
        b = np.stack([made[i].mean for i in kept]).astype(np.float64)
        both = np.concatenate([types_a, types_b[kept]])
        one = c2st.separability(a, b, np.concatenate([groups, np.array(own)]), both, rng=rng, repeats=4)
        found += [one] if one is not None else []
    null = c2st.floor(a, groups, types_a, rng=np.random.default_rng((seed, 6)), repeats=3 * REPEATS)
    value = _mean([f.auroc for f in found])
    limit = float(np.quantile(null, 0.95)) if null else None
    n = found[0].n_generated if found else len(made)
    if value is None:
        words = f"no figure: needs {c2st.LEAST} pictures a side of one mix of types"
    elif limit is None:
        words = f"no floor: halves of the real ones have fewer than {c2st.LEAST} pictures{_few(len(a), n)}"
    elif value <= limit:
        words = f"under what chance gives (95%: {limit:.2f}): cannot be told apart at this n{_few(len(a), n)}"
    else:
        words = f"over what chance gives (95%: {limit:.2f}): a classifier can tell them{_few(len(a), n)}"
    more = {"floor_q95": limit, "draws": [f.auroc for f in found]}
    return Figure(
        key="c2st", name="real or generated? (AUROC)", value=value, n=n, floor=_mean(null), n_floor=len(a),
        words=words, better="near .5", more=more,
    )  # fmt: skip


def _near_words(value: float | None, floor: float | None, reals: Sequence[float]) -> str:
    if value is None:
        return "no real picture of these types"
    if floor is None:
        return "no floor: one real picture of a type, or all of one part"
    noise = 2 * float(np.std(reals)) / np.sqrt(len(reals))
    few = f"; the floor rests on {len(reals)} pictures" if len(reals) < ENOUGH else ""
    if value > floor + noise:
        return f"nearer to the real ones than these to each other: drawn from them, not a merit{few}"
    if value < floor - noise:
        return f"less like the real ones than these are like each other{few}"
    return f"as near to the real ones as these to each other{few}"


def _used_words(used: Sequence[Any], known: int, n: int) -> str:
    if not known:
        return "the generator did not say what each picture was made from"
    most, there = max(u["largest_share"] for u in used), sum(u["available"] for u in used)
    return f"of {there} that there are; the most used one made {most:.0%} of its type; {n - known} pictures name none"


def _few(*sizes: int) -> str:
    few = min(sizes)
    return f"; only {few} pictures on a side, a hint and no more" if few < ENOUGH else ""


def _cluster(m: Made, real: Sequence[Real]) -> str:
    """The exemplar that a picture was made from, or else the one that it resembles most."""
    if m.picture.exemplars:
        return m.picture.exemplars[0]
    return real[m.likest.example].picture.name if m.likest is not None else ""


def _example_group(m: Made, by_example: dict[tuple[str, str], int], own: int) -> int:
    """The group of the first example that a picture was made from; without one known, a group of its own."""
    for name in m.picture.exemplars:
        if (m.picture.kind, name) in by_example:
            return by_example[m.picture.kind, name]
    return own


def group_of(r: Real) -> str:
    """What physical part a real picture shows; where nobody says, each its own."""
    return r.picture.group if r.picture.group is not None else f"\0{r.picture.name}"


def _codes(names: Sequence[str]) -> Codes:
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], np.int64)


def _counts(names: Sequence[str]) -> dict[str, int]:
    return {name: list(names).count(name) for name in sorted(set(names))}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
