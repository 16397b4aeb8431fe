"""Mining: nearest rows that are similar enough and not in training yet; other ways to choose; all of it by content."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from deft_maker import full_world, save, write_rows
from noescape.changenet.spec_file import load_spec
from noescape.cli.main import main
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.embed import Embedded, embed
from noescape.deft.mine import Embeddings, Mined, mine
from noescape.deft.parquet import TEXT, read_vectors, write_parquet, write_vectors
from noescape.deft.pool import build_pool
from noescape.deft.selection import any_of, hardest, most_uncertain, nearest, similarity_quantile, units
from noescape.files import read_csv
from noescape.records import DataError, UsageError

Floats = npt.NDArray[np.float32]


class Squares:
    """A toy encoder: 4 x 4 mean colours."""

    name = "squares"
    calls = 0

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Floats:
        Squares.calls += 1
        return np.asarray(cv2.resize(rgb, (4, 4), interpolation=cv2.INTER_AREA), np.float32).ravel()


def _pool(home: Path) -> Path:
    full_world(home)
    return build_pool(
        home, home / "results/run/synth_pool", load_spec(home / "specs/baseline_spec.yaml")
    ).source_pool_parquet


def _targets(home: Path, names: list[str], labels: list[str] | None = None) -> Path:
    path = home / "targets.parquet"
    write_parquet(
        path, {"filepath": names, "label": labels or ["PASS"] * len(names)}, {"filepath": TEXT, "label": TEXT}
    )
    return path


def _mine(home: Path, pool: Path, names: list[str], out: str = "out", **more: object) -> Mined:
    more.setdefault("embeddings", Embeddings(encoder=Squares, name="squares", cache=home / "cache.parquet"))
    labels = more.pop("labels", None)
    return mine(_targets(home, names, labels), pool, home / out, workspace=home, **more)  # type: ignore[arg-type]


def _kpi(home: Path) -> list[str]:
    return [f"kpi/images/kpi/{p.name}" for p in sorted((home / "kpi/images/kpi").iterdir())]


def test_each_target_gets_its_nearest_by_brute_force() -> None:
    rng = np.random.default_rng(1)
    a, b = units(rng.normal(size=(7, 9)).astype(np.float32), rng.normal(size=(40, 9)).astype(np.float32), centred=True)
    found = nearest(a, b, 3)
    cosine = (a @ b.T).astype(np.float64)
    top = {(t, int(p)) for t in range(7) for p in np.argsort(-cosine[t])[:3]}
    assert set(found.candidates.tolist()) == {p for _, p in top} and found.pairs == 21
    for place, similarity, target in zip(found.candidates, found.similarity, found.target):
        best = max((t for t, p in top if p == place), key=lambda t: cosine[t, place])
        assert target == best and similarity == pytest.approx(cosine[best, place], abs=1e-5)


def test_the_offline_cut_rejects_the_same_share_of_pairs() -> None:
    rng = np.random.default_rng(2)
    a, b = units(
        rng.normal(size=(20, 9)).astype(np.float32), rng.normal(size=(500, 9)).astype(np.float32), centred=True
    )
    assert np.mean(a @ b.T < similarity_quantile(a, b)) == pytest.approx(0.95, abs=0.001)


def test_a_copy_of_a_target_is_mined_and_both_cuts_are_printed(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    rows = read_csv(pool.with_suffix(".csv"))
    target = tmp_path / _kpi(tmp_path)[0]
    save(tmp_path / rows[2]["filepath"], cv2.cvtColor(cv2.imread(str(target)), cv2.COLOR_BGR2RGB))
    done = _mine(tmp_path, pool, _kpi(tmp_path)[:1], top_k=1)
    kept = read_csv(done.mining_pool)
    assert [r["filepath"] for r in kept] == [rows[2]["filepath"]] and float(kept[0]["mined_similarity"]) > 0.999
    assert list(kept[0])[:16] == [*COLUMNS, "provenance", "filepath"]
    said = (tmp_path / "out/mining_summary.txt").read_text()
    assert "minimum similarity: 0.9 for SigLIP; here " in said and "95%" in said
    assert pq.read_table(done.mined).to_pydict() == {"filepath": [rows[2]["filepath"]]}
    summary = read_csv(tmp_path / "out/knn_summary.csv")[0]
    assert (summary["candidate_count"], summary["kept_count"], summary["rejected_count"]) == ("1", "1", "0")
    columns, vectors, _ = read_vectors(tmp_path / "out/target_embeddings.parquet")
    assert columns["filepath"] == _kpi(tmp_path)[:1] and vectors.shape == (1, 48)


def test_rows_in_training_are_taken_out_before_the_nearest_are_looked_for(tmp_path: Path) -> None:
    """Else the loop stalls: three rounds of one each must give three different rows."""
    pool, seen = _pool(tmp_path), []
    for i in range(3):
        before = [tmp_path / f"{k}/mining_pool.csv" for k in range(i)]
        done = _mine(tmp_path, pool, _kpi(tmp_path)[:1], out=str(i), top_k=1, min_similarity=-1.0, exclude=before)
        assert done.excluded == i
        seen += [r["filepath"] for r in read_csv(done.mining_pool)]
    assert len(set(seen)) == 3
    done = _mine(tmp_path, pool, _kpi(tmp_path)[:1], exclude=[pool.with_suffix(".csv")])
    assert (done.kept, done.excluded) == (0, 9) and any("nothing was kept" in text for text in done.warnings)


def test_synthetic_rows_pass_the_same_cut(tmp_path: Path) -> None:
    """No bypass: with a cut that nothing meets, no synthetic row is kept either."""
    pool = _pool(tmp_path)
    done = _mine(tmp_path, pool, _kpi(tmp_path), top_k=9, min_similarity=1.0)
    assert (done.kept, done.synthetic, done.candidates) == (0, 0, 9)
    assert any("nothing was kept" in text for text in done.warnings)
    assert read_csv(done.mining_pool) == [] and pq.read_table(done.mined).num_rows == 0
    assert _mine(tmp_path, pool, _kpi(tmp_path), top_k=9, min_similarity=-1.0).synthetic == 3


def test_few_rows_and_labels_without_rows_are_warned_of(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    done = _mine(tmp_path, pool, _kpi(tmp_path)[:2], labels=["PASS", "Tombstone"], top_k=1, min_similarity=-1.0,
                 previous_kept=5)  # fmt: skip
    assert sorted(text.partition(":")[0] for text in done.warnings) == ["coverage", "yield"]
    assert "TOMBSTONE" in done.warnings[0]
    assert _mine(tmp_path, pool, _kpi(tmp_path)[:1], top_k=1, min_similarity=-1.0, previous_kept=2).warnings == ()


def test_vectors_are_kept_by_content_and_not_asked_for_twice(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    Squares.calls = 0
    _mine(tmp_path, pool, _kpi(tmp_path)[:1])
    first = (tmp_path / "out/mining_pool.csv").read_bytes()
    assert Squares.calls == 9 + 1
    _mine(tmp_path, pool, _kpi(tmp_path)[:1])
    assert Squares.calls == 10 + 1 and (tmp_path / "out/mining_pool.csv").read_bytes() == first
    save(tmp_path / read_csv(pool.with_suffix(".csv"))[0]["filepath"], np.zeros((48, 48, 3), np.uint8))
    _mine(tmp_path, pool, _kpi(tmp_path)[:1])
    assert Squares.calls == 11 + 2
    other = Embeddings(encoder=Squares, name="another encoder", cache=tmp_path / "cache.parquet")
    _mine(tmp_path, pool, _kpi(tmp_path)[:1], embeddings=other)
    assert Squares.calls == 13 + 10


def test_a_broken_cache_is_no_failure(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    (tmp_path / "cache.parquet").write_bytes(b"PAR1 torn")
    assert _mine(tmp_path, pool, _kpi(tmp_path)[:1], min_similarity=-1.0).kept == 5


def test_a_picture_that_cannot_be_read_costs_its_row(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    bad = read_csv(pool.with_suffix(".csv"))[0]["filepath"]
    (tmp_path / bad).write_bytes(b"")
    for select in ("knn", "random"):
        done = _mine(tmp_path, pool, _kpi(tmp_path), top_k=9, min_similarity=-1.0, select=select, budget=9)
        assert done.kept == 8 and [one.row for one in done.lost] == [bad] and "empty" in done.lost[0].reason


def test_vectors_of_another_encoder_are_used_as_given_at_its_own_cut(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    names = [r["filepath"] for r in read_csv(pool.with_suffix(".csv"))]
    vectors = np.zeros((9, 2), np.float32)
    vectors[:, 0], vectors[:, 1] = 1, np.linspace(0, 0.9, 9)
    write_vectors(tmp_path / "p.parquet", {"filepath": names}, vectors, {})
    write_vectors(tmp_path / "t.parquet", {"filepath": _kpi(tmp_path)[:1]}, vectors[:1], {})
    given = Embeddings(name="given", pool=tmp_path / "p.parquet", targets=tmp_path / "t.parquet")
    done = _mine(tmp_path, pool, _kpi(tmp_path)[:1], top_k=9, embeddings=given)
    cosine = vectors[:, 0] / np.linalg.norm(vectors, axis=1)
    assert done.similarity_threshold == 0.9 and done.kept == int((cosine >= 0.9).sum()) < 9
    write_vectors(tmp_path / "t.parquet", {"filepath": _kpi(tmp_path)[:1]}, np.ones((1, 3), np.float32), {})
    with pytest.raises(DataError, match="one encoder"):
        _mine(tmp_path, pool, _kpi(tmp_path)[:1], embeddings=given)


def test_hard_and_uncertain_are_balanced_and_take_the_extremes() -> None:
    rng = np.random.default_rng(3)
    scores, defect = rng.random(50), np.arange(50) < 20
    hard = set(hardest(scores, defect, 10).tolist())
    assert sum(defect[i] for i in hard) == 5
    assert hard == {
        *np.argsort(np.where(defect, scores, 9))[:5].tolist(),
        *np.argsort(np.where(defect, 9, -scores))[:5].tolist(),
    }
    near = most_uncertain(scores, defect, 0.4, 9)
    assert len(near) == 9 and sum(defect[i] for i in near) == 5
    assert len(hardest(scores, np.arange(50) < 2, 10)) == 10  # one class is too small: the other fills up
    assert any_of(50, 10, 7).tolist() == any_of(50, 10, 7).tolist() != any_of(50, 10, 8).tolist()


def test_model_based_choices_need_scores_and_use_them(tmp_path: Path) -> None:
    pool = _pool(tmp_path)
    rows = read_csv(pool.with_suffix(".csv"))
    with pytest.raises(UsageError, match="scores"):
        _mine(tmp_path, pool, _kpi(tmp_path), select="hard")
    scored = [r | {"siamese_score": "" if i == 8 else 0.1 * i} for i, r in enumerate(rows)]
    scores = write_rows(tmp_path / "pool.csv", scored, [*rows[0], "siamese_score"])
    done = _mine(tmp_path, pool, _kpi(tmp_path), select="hard", scores=scores, budget=2)
    assert [r["filepath"] for r in read_csv(done.mining_pool)] == [rows[2]["filepath"], rows[3]["filepath"]]
    assert [one.row for one in done.lost] == [rows[8]["filepath"]] and done.similarity_threshold is None
    with pytest.raises(UsageError, match="threshold"):
        _mine(tmp_path, pool, _kpi(tmp_path), select="uncertain", scores=scores)
    done = _mine(tmp_path, pool, _kpi(tmp_path), select="uncertain", scores=scores, budget=2, threshold=0.61)
    assert [r["label"] for r in read_csv(done.mining_pool)] == ["PASS", "bridge"]


def test_the_offline_embedding_finds_the_same_picture_re_lit(tmp_path: Path) -> None:
    """With the real backbone: of nine rows the darker copy of the target comes first."""
    pool = _pool(tmp_path)
    rows = read_csv(pool.with_suffix(".csv"))
    target = cv2.cvtColor(cv2.imread(str(tmp_path / _kpi(tmp_path)[1])), cv2.COLOR_BGR2RGB)
    save(tmp_path / rows[4]["filepath"], (target * 0.8).astype(np.uint8))
    done = _mine(tmp_path, pool, _kpi(tmp_path)[1:2], top_k=1, min_similarity=-1.0, embeddings=None)
    assert [r["filepath"] for r in read_csv(done.mining_pool)] == [rows[4]["filepath"]]
    assert (pool.parent / "source_embeddings.parquet").is_file()


def test_repeats_and_order_of_names_are_kept(tmp_path: Path) -> None:
    _pool(tmp_path)
    names = _kpi(tmp_path)
    got: Embedded = embed([names[1], names[0], names[1]], tmp_path, Squares, "squares")
    assert got.names == (names[1], names[0]) and got.vectors.shape == (2, 48)


def test_the_commands_build_route_and_mine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From an inference.csv to chosen rows; nothing in the files names where the workspace lies."""
    world = full_world(tmp_path)
    csv = world.scored(read_csv(tmp_path / "kpi/testing_set.csv"), [0.1, 0.2, 0.7, 0.6, 0.9])
    spec, home = ["-e", str(world.spec)], ["--workspace", str(tmp_path)]
    pool = tmp_path / "results/run/synth_pool"
    assert main(["deft", "rca", "--inference", str(csv), *spec, *home, "--out", str(tmp_path / "rca")]) == 0
    assert main(["deft", "pool", *spec, *home, "--out", str(pool)]) == 0
    assert main(["deft", "pool", *spec, *home, "--out", str(pool)]) == 2
    gaps, rows = str(tmp_path / "rca/kpi_gaps.parquet"), str(pool / "source_pool.csv")
    assert main(["deft", "route", "--gaps", gaps, "--pool", rows, "--out", str(tmp_path / "routed")]) == 0
    assert main(["deft", "mine", "--targets", str(tmp_path / "routed/mining_gaps.parquet"), "--pool",
                 str(pool / "source_pool.parquet"), *home, "--select", "random", "--budget", "4", "--exclude",
                 str(tmp_path / "train/base/training_set.csv"), "--out", str(tmp_path / "mined")]) == 0  # fmt: skip
    assert "Unique items saved: 4" in capsys.readouterr().out
    for folder in ("rca", "routed", "mined", "results"):
        for path in (tmp_path / folder).rglob("*"):
            assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path
