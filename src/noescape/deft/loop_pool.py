"""The pool in a loop: staged once, checked at the start of every iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noescape.deft.leakage import require_real
from noescape.deft.pool import MANIFEST, build_pool, check_unchanged, read_manifest
from noescape.files import write_json

if TYPE_CHECKING:
    from noescape.deft.loop_stages import Setting


def stage_pool(at: Setting) -> None:
    """Build the pool where the run has none, and make sure that no held-out set holds a generated picture."""
    folder = at.run.pool
    if not (folder / MANIFEST).is_file():
        at.on_line("staging the pool")
        inline = at.state.config.anomalygen.mode != "pregen_ingest"
        build_pool(at.workspace.root, folder, at.spec, inline=inline, force=folder.exists())
    generated = sorted(p for p in (folder / "images").rglob("*") if p.is_file())
    for one in at.workspace.holdouts():
        require_real(one, at.spec, at.workspace.root, generated)


def ingest(at: Setting) -> dict[str, Any]:
    """Note in iterN/anomalygen/ingest_summary.json which pool this iteration starts from. HardStop where it changed."""
    manifest = read_manifest(at.run.pool / MANIFEST, at.workspace.root)
    check_unchanged(manifest)
    said = {"manifest": at.told(at.run.pool / MANIFEST), "counts": manifest.counts}
    write_json(at.out / "anomalygen" / "ingest_summary.json", said)
    return {"anomalygen_ingest": said}
