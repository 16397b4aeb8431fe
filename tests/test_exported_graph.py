"""The graph for other runtimes against the native path: a toy embedding with real behaviour, no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from export_maker import GRAPHS, U8, picture
from noescape.anomaly import export_formats, exported_graph
from noescape.anomaly.detector import Detector, PadimScorer, PatchCoreScorer, View
from noescape.anomaly.exported_graph import DetectorGraph, NearestInBank, growth
from noescape.anomaly.padim import fit_padim
from noescape.anomaly.patchcore import PatchCore
from noescape.imaging import blur_map, resize_map
from noescape.records import UsageError


class ToyEmbedding(nn.Module):
    """Mean and spread of each colour in each cell of a grid: `[P, 6]`; also an `Embedder`."""

    precision = "f32"

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        x = rgb.permute(0, 3, 1, 2).float() / 32
        mean = nn.functional.adaptive_avg_pool2d(x, self.grid)
        square = nn.functional.adaptive_avg_pool2d(x * x, self.grid)
        return torch.cat([mean, (square - mean * mean).clamp(min=0).sqrt()], 1)[0].flatten(1).T.contiguous()


def both(model: Any, view: View, rgb: U8) -> tuple[tuple[float, Any], tuple[float, Any]]:
    """Score and map of the native detector and of its graph."""
    embedding = ToyEmbedding(view.grid)

    def embedder(image: U8) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return embedding(torch.from_numpy(image[None])).numpy()

    graph = DetectorGraph(embedding, model, view).eval()
    with torch.inference_mode():
        anomaly_map, score = graph(torch.from_numpy(rgb[None]))
    native = Detector(view=view, embedder=embedder, model=model).score(rgb)  # type: ignore[arg-type]
    return native, (float(score), anomaly_map.numpy())


def toy_model(kind: str, grid: tuple[int, int], neighbours: int = 4) -> PadimScorer | PatchCoreScorer:
    rng = np.random.default_rng(5)
    cells = grid[0] * grid[1]
    if kind == "patchcore":
        bank = (4 + rng.normal(size=(60, 6))).astype(np.float32)
        kin = np.argsort(((bank[:, None] - bank[None]) ** 2).sum(2), 1)[:, :neighbours]
        return PatchCoreScorer(core=PatchCore(bank=bank, kin=kin))
    stack = (4 + rng.normal(size=(30, cells, 6)) * rng.uniform(0.2, 3, 6)).astype(np.float32)
    return PadimScorer(padim=fit_padim([stack], np.array([0, 2, 3, 5]), 0.01))


def region(kind: str | None) -> U8 | None:
    mask = np.zeros((40, 50), np.uint8)
    mask[7:30, 11:29] = 255
    return mask if kind else None


@pytest.mark.parametrize("kind", ["padim", "patchcore"])
@pytest.mark.parametrize("share", [0.01, 0.5, None])
@pytest.mark.parametrize("roi", [None, "a part"])
@pytest.mark.parametrize("grid", [(8, 8), (5, 12), (32, 48)])
@pytest.mark.parametrize("sigma", [0.0, 4.0, 30.0])
def test_the_graph_is_the_detector(kind: str, share: float | None, roi: str | None, grid: Any, sigma: float) -> None:
    """Both models, both scores, with a region or without, any grid, no blur or one wider than the image."""
    view = View(image_size=(32, 48), grid=grid, tile=None, overlap=0, sigma=sigma, score_share=share, roi=region(roi))
    model = toy_model(kind, grid)
    for seed in (1, 2):
        (score, native), (copied, finished) = both(model, view, picture(seed, 32, 48))
        assert copied == pytest.approx(score, rel=1e-5)
        np.testing.assert_allclose(finished, native, rtol=1e-5, atol=1e-5 * native.max())
        assert roi is None or ((finished == 0) == (native == 0)).all()


def test_the_paper_score_without_neighbours_is_the_largest_distance() -> None:
    view = View(image_size=(32, 48), grid=(8, 8), tile=None, overlap=0, sigma=4, score_share=None)
    (score, native), (copied, _) = both(toy_model("patchcore", (8, 8), neighbours=1), view, picture(1, 32, 48))
    assert copied == pytest.approx(score, rel=1e-6)
    assert score > native.max()


@pytest.mark.parametrize(("cells", "pixels"), [(3, 64), (16, 64), (64, 64), (40, 64)])
def test_growing_and_blurring_is_one_matrix_for_each_axis(cells: int, pixels: int) -> None:
    """Two small products equal OpenCV's resize and blur of the whole map, up to the mirrored border."""
    patches = np.random.default_rng(cells).random((cells, 7)).astype(np.float32)
    for sigma in (0.0, 2.5, 12.0, 40.0):
        want = blur_map(resize_map(patches, pixels, 90), sigma)
        got = growth(cells, pixels, sigma) @ patches @ growth(7, 90, sigma).T
        np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.parametrize("block", [1, 7, 60, 61])
def test_the_nearest_is_found_in_whatever_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to brute force in double precision, far from the origin too; a vector of the bank has distance 0."""
    monkeypatch.setattr(exported_graph, "BANK_BLOCK", block)
    rng = np.random.default_rng(3)
    bank = (rng.normal(size=(61, 9)) + 500).astype(np.float32)
    queries = np.concatenate([bank[[0, 6, 7, 60]], (rng.normal(size=(50, 9)) + 500).astype(np.float32)])
    search = NearestInBank(PatchCore(bank=bank, kin=np.zeros((61, 1), np.int64)), reweighted=False)
    distance, row = search(torch.from_numpy(queries))
    exact = np.sqrt(((queries[:, None].astype(np.float64) - bank[None]) ** 2).sum(2))
    assert row.tolist() == exact.argmin(1).tolist()
    assert distance[:4].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(distance.numpy(), exact.min(1), rtol=1e-4)


def test_what_one_tile_cannot_say_is_refused_with_every_reason() -> None:
    view = View(image_size=(32, 48), grid=(8, 8), tile=32, overlap=4, sigma=4, score_share=None, roi=region("a part"))
    padim = toy_model("padim", (16, 8))
    for model, words in ((padim, ("128 positions", "region")), (toy_model("patchcore", (8, 8)), ("worst", "region"))):
        with pytest.raises(UsageError, match="--format bundle") as refused:
            DetectorGraph(ToyEmbedding((8, 8)), model, view)
        assert all(word in str(refused.value) for word in words)
    pixel = np.zeros((32, 48), np.uint8)
    pixel[7, 9] = 255  # the score looks at every second row and column only
    with pytest.raises(UsageError, match="region of interest vanishes"):
        DetectorGraph(ToyEmbedding((8, 8)), toy_model("patchcore", (8, 8)), replace(view, tile=None, roi=pixel))


@pytest.mark.parametrize("form", GRAPHS)
@pytest.mark.parametrize(("kind", "share"), [("padim", None), ("patchcore", None), ("patchcore", 0.02)])
def test_a_region_of_interest_lives_in_the_file(form: str, kind: str, share: float | None, tmp_path: Path) -> None:
    """Written, read and run by its runtime: the native answer inside of the region, nothing outside."""
    view = View(image_size=(32, 48), grid=(8, 8), tile=None, overlap=0, sigma=3, score_share=share, roi=region("part"))
    model, rgb = toy_model(kind, (8, 8)), picture(3, 32, 48)
    (score, native), _ = both(model, view, rgb)
    graph = DetectorGraph(ToyEmbedding((8, 8)), model, view).eval()
    export_formats.GRAPH_FORMATS[form].write(graph, (32, 48), tmp_path)
    copied, finished = export_formats.GRAPH_FORMATS[form].load(tmp_path)(rgb)
    assert copied == pytest.approx(score, rel=1e-5)
    np.testing.assert_allclose(finished, native, rtol=1e-5, atol=1e-5)
    assert (finished[:5] == 0).all() and finished[16, 20] > 0
