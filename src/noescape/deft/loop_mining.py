"""The stage data_mining: choose rows of the pool, add them to the training set, and be sure of the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from noescape.changenet.infer import infer
from noescape.deft.assemble import assemble
from noescape.deft.leakage import leakage, require_clean
from noescape.deft.mine import Embeddings, mine
from noescape.deft.pool import MANIFEST, read_manifest
from noescape.deft.state import BASELINE
from noescape.deft.validate import require_valid, validate
from noescape.deft.workspace import TRAIN_CSV

if TYPE_CHECKING:
    from noescape.deft.loop_stages import Setting

BY_MODEL = ("hard", "uncertain")


def mine_and_assemble(at: Setting) -> dict[str, Any]:
    """Write iterN/mining_filter/ and iterN/dataset/. HardStop leakage, csv_invalid, pool_empty, silent_drop."""
    from noescape.deft.loop_stages import combined_csv, decisions

    knobs, before = at.state.config.mining_filter, at.state.of(at.previous)
    select = "random" if at.budget is not None else knobs.select or "knn"
    manifest = read_manifest(at.run.pool / MANIFEST, at.workspace.root)
    scores = _pool_scores(at, manifest.source_pool_csv) if select in BY_MODEL else None
    mined = mine(
        at.file(at.state.of(at.name).routing_mining_parquet, f"routing_mining_parquet of {at.name}"),
        manifest.source_pool_parquet,
        at.out / "mining_filter",
        workspace=at.workspace.root,
        top_k=knobs.top_k_per_target,
        min_similarity=knobs.min_similarity,
        select=select,
        exclude=[combined_csv(at, n) for n in range(1, at.number)],
        scores=scores,
        threshold=before.threshold,
        budget=at.budget,
        seed=at.state.config.seed + at.number,
        previous_kept=None if at.previous == BASELINE else before.mining_mined_count,
        embeddings=Embeddings(cache=at.run.pool / "source_embeddings.parquet"),
    )
    for text in mined.warnings:
        at.on_line(f"warning: {text}")
    root, holdouts = at.workspace.root, at.workspace.holdouts()
    if mined.kept:
        require_clean(mined.mining_pool, leakage(mined.mining_pool, holdouts, at.spec, root))
    previous = root / TRAIN_CSV if at.previous == BASELINE else combined_csv(at, at.number - 1)
    done = assemble(
        previous, mined.mining_pool, at.out / "dataset", iteration=at.number, workspace=root, spec=at.spec,
        decisions=decisions(at.workspace),
    )  # fmt: skip
    require_valid(done.csv, validate(done.csv, at.spec, holdouts, workspace=root))
    return {"mining_mined_parquet": at.told(mined.mined), "mining_mined_count": mined.kept}


def _pool_scores(at: Setting, pool: Path) -> Path:
    """The pool under the model of the iteration before: what hard and uncertain choose by."""
    out = at.out / "mining_filter" / "pool_scores"
    checkpoint = at.file(at.state.of(at.previous).best_ckpt_path, f"best_ckpt_path of {at.previous}")
    return infer(at.spec, checkpoint, pool, out, images_dir=at.workspace.root, on_line=at.on_line).table
