"""The stage evaluate: both checkpoints on the KPI set, the better one kept, and the blind set beside it.

<iter>/inference/{best_val,latest}/   inference.csv and the files of the KPI
blind/<iter>/                         inference.csv and verdict.json of the blind set: no stage reads them
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noescape.changenet.infer import infer
from noescape.changenet.kpi_files import write_kpi
from noescape.changenet.trained import RECORD, read_trained
from noescape.deft.gate import Verdict, gate
from noescape.deft.ledger import account_files
from noescape.deft.places import KPI_IMAGES, Images
from noescape.deft.scored import Scored, read_scored_csv
from noescape.deft.workspace import BLIND_CSV, KPI_CSV
from noescape.files import write_bytes, write_json

if TYPE_CHECKING:
    from noescape.deft.loop_stages import Setting

BLIND = "blind"


@dataclass(frozen=True, kw_only=True)
class _Judged:
    kind: str
    checkpoint: Path
    csv: Path
    verdict: Verdict


def evaluate_both(at: Setting) -> dict[str, Any]:
    """Judge best_val and latest; of equal FAR best_val is kept. Writes the folders above."""
    judged: list[_Judged] = []
    for kind, checkpoint in _checkpoints(at):
        same = next((one for one in judged if one.checkpoint == checkpoint), None)
        judged.append(_judge(at, kind, checkpoint, same))
    best = min(judged, key=lambda one: one.verdict.point.far_pct)
    point = best.verdict.point
    if (at.workspace.root / BLIND_CSV).is_file():
        _blind(at, best)
    return {
        "best_ckpt_path": at.told(best.checkpoint),
        "best_ckpt_kind": best.kind,
        "far_pct": point.far_pct,
        "threshold": point.threshold,
        "inference_csv": at.told(best.csv),
    }


def _checkpoints(at: Setting) -> list[tuple[str, Path]]:
    folder = at.out / "train"
    if (folder / RECORD).is_file():
        done = read_trained(folder)
        return [("best_val", done.best), ("latest", done.latest)]
    given = at.file(at.state.of(at.name).best_ckpt_path, f"best_ckpt_path of {at.name}")
    return [("best_val", given), ("latest", given)]


def _judge(at: Setting, kind: str, checkpoint: Path, same: _Judged | None) -> _Judged:
    out, rows = at.out / "inference" / kind, at.workspace.root / KPI_CSV
    if same is not None:
        write_bytes(out / "inference.csv", same.csv.read_bytes())
    else:
        infer(at.spec, checkpoint, rows, out, images_dir=at.workspace.root / KPI_IMAGES, on_line=at.on_line)
    account_files(f"inference of {at.name}", rows, out / "inference.csv")
    write_kpi(out, recall=at.target.recall, target=at.target.limit)
    verdict = gate(_scored(at, out / "inference.csv").best(at.target.recall), at.target)
    return _Judged(kind=kind, checkpoint=checkpoint, csv=out / "inference.csv", verdict=verdict)


def _blind(at: Setting, best: _Judged) -> None:
    """The blind set under the threshold of the KPI set: what a line would see."""
    out, rows = at.run.folder / BLIND / at.name, at.workspace.root / BLIND_CSV
    infer(at.spec, best.checkpoint, rows, out, images_dir=at.workspace.root / KPI_IMAGES, on_line=at.on_line)
    account_files(f"blind inference of {at.name}", rows, out / "inference.csv")
    scored = _scored(at, out / "inference.csv")
    own = gate(scored.best(at.target.recall), at.target)
    verdict = gate(scored.at(best.verdict.point.threshold), at.target)
    write_json(out / "verdict.json", {"at_kpi_threshold": verdict.to_json(), "at_its_own_threshold": own.to_json()})


def _scored(at: Setting, csv: Path) -> Scored:
    from noescape.deft.loop_stages import decisions

    images = Images.of(at.spec.dataset.classify, KPI_IMAGES, at.workspace.root)
    return read_scored_csv(csv, decisions=decisions(at.workspace), images=images)
