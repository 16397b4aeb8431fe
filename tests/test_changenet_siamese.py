"""The siamese network: its formulas, its levels from any backbone, and a training that survives a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from changenet_rows import mixed, put_rows, spec_for
from net_maker import Weights, resnet_state
from noescape.changenet.infer import infer
from noescape.changenet.siamese import batches
from noescape.changenet.siamese.difference import EuclideanDifference, LearnableDifference, agreed, contrastive_loss
from noescape.changenet.siamese.fit import rate_at
from noescape.changenet.siamese.levels import build_levels
from noescape.changenet.spec import Spec
from noescape.changenet.train import train
from noescape.records import BundleError, UsageError

HEAD = {"embed_dec": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siamese")
    for seed, (name, count) in enumerate((("train", 8), ("val", 4), ("test", 4))):
        put_rows(folder, name, mixed(count, every=2), seed=seed, side=32)
    return folder


def _spec(root: Path, **train_keys: object) -> Spec:
    classify = {"augmentation_config": {"augment": True}}
    return spec_for(root, trainer="finetune", side=32, head=HEAD, classify=classify, train=train_keys)


def test_the_contrastive_loss_is_its_formula() -> None:
    distance, defect = torch.tensor([0.5, 1.0, 3.0, 0.0]), torch.tensor([False, True, True, True])
    assert float(contrastive_loss(distance, defect, 2.0)) == pytest.approx((0.25 + 1.0 + 0.0 + 4.0) / 4)


def test_equal_images_have_no_distance() -> None:
    maps = [torch.rand(2, 3, 4, 4), torch.rand(2, 5, 2, 2)]
    module = EuclideanDifference((3, 5), vectors=5)
    assert float(module(maps, maps).detach().max()) < 1e-5
    assert float(module(maps, [m + 1 for m in maps]).detach().min()) > 1e-3


@pytest.mark.parametrize("modules", [1, 2, 4])
def test_the_learnt_difference_takes_what_levels_there_are(modules: int) -> None:
    shapes, channels = [(8, 8), (4, 4), (2, 2), (2, 2)], [3, 4, 5, 6]
    maps = [torch.rand(3, c, *s) for c, s in zip(channels, shapes, strict=True)]
    module = LearnableDifference(channels, shapes, width=4, modules=modules, embed=3)
    assert module(maps, maps).shape == (3, 2) and module.fused(maps, maps).shape == (3, 4, 8, 8)


def test_of_several_goldens_the_one_that_agrees_counts() -> None:
    """Where one golden is the input and another is not, the mean lies near the first; one golden alone is itself."""
    seen = [10 * torch.randn(1, 8, 5, 5, generator=torch.Generator().manual_seed(0))]
    other = [10 * torch.randn(1, 8, 5, 5, generator=torch.Generator().manual_seed(1))]
    assert torch.allclose(agreed(seen, [seen])[0], seen[0])
    assert float((agreed(seen, [other, seen])[0] - seen[0]).abs().max()) < 0.05
    for one in (seen[0], other[0]):
        one.requires_grad_(True)
    agreed([s.detach() for s in seen], [other, seen])[0].sum().backward()
    assert other[0].grad is not None and seen[0].grad is None


def test_the_learning_rate_falls_as_written() -> None:
    linear = Spec.model_validate({"train": {"num_epochs": 9, "optim": {"lr": 1.0}}})
    step = Spec.model_validate({"train": {"num_epochs": 9, "optim": {"lr": 1.0, "policy": "step"}}})
    assert [rate_at(linear, e) for e in (0, 5)] == [1.0, 0.5]
    assert [rate_at(step, e) for e in (0, 2, 3, 8)] == pytest.approx([1, 1, 0.1, 0.01])


def test_training_ends_with_the_documented_files(root: Path, tmp_path: Path) -> None:
    trained = train(_spec(root), tmp_path / "run")
    assert [p.file for p in trained.epochs] == [
        "model_epoch_000_step_00002.safetensors",
        "model_epoch_001_step_00004.safetensors",
    ]
    assert {p.name for p in (tmp_path / "run").iterdir() if not p.name.startswith(".")} == {
        *(e.file for e in trained.epochs), "checkpoints.json", "experiment.yaml", "identity.txt", "status.json",
    }  # fmt: skip
    scores = infer(_spec(root), trained.latest, None, tmp_path / "out").scores
    assert all(s is not None and 0 < s < 1 for s in scores)


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the second epoch: the first is not done again. Optimiser and all."""
    spec = _spec(root, num_epochs=3)
    whole = train(spec, tmp_path / "whole")
    real, seen = batches.Reader.batches, []

    def dying(self: batches.Reader, order: object, size: int, seed: tuple[int, ...], *, drop_last: bool) -> object:
        if drop_last:
            seen.append(seed[1])
            if len(seen) == 2:
                raise KeyboardInterrupt
        return real(self, order, size, seed, drop_last=drop_last)  # type: ignore[arg-type]

    monkeypatch.setattr(batches.Reader, "batches", dying)
    with pytest.raises(KeyboardInterrupt):
        train(spec, tmp_path / "cut")
    assert (tmp_path / "cut" / "resume.safetensors").is_file()
    cut = train(spec, tmp_path / "cut")
    assert seen == [0, 1, 1, 2]
    for epoch in whole.epochs:
        assert (cut.folder / epoch.file).read_bytes() == (whole.folder / epoch.file).read_bytes()
    assert (cut.folder / "checkpoints.json").read_bytes() == (whole.folder / "checkpoints.json").read_bytes()
    assert not (tmp_path / "cut" / "resume.safetensors").exists()


def test_distances_are_learnt_and_scored(root: Path, tmp_path: Path) -> None:
    spec = spec_for(
        root, side=32, trainer="auto",
        head={"difference_module": "euclidean"}, train={"classify": {"loss": "contrastive"}, "num_epochs": 1},
    )  # fmt: skip
    trained = train(spec, tmp_path / "run")
    assert trained.trainer == "finetune"
    scores = infer(spec, trained.best, None, tmp_path / "out", heatmaps=1).scores
    assert all(s is not None and s >= 0 for s in scores)


def test_weights_only_start_from_a_checkpoint_or_a_pth(root: Path, tmp_path: Path) -> None:
    """A `.pth` is read as tensors; one that holds code, or other shapes, is refused."""
    spec = _spec(root, num_epochs=1)
    trained = train(spec, tmp_path / "run")
    from noescape.changenet.checkpoint import read_checkpoint

    tensors, _ = read_checkpoint(trained.best)
    torch.save({"state_dict": tensors}, tmp_path / "m.pth")
    started = _spec(root, num_epochs=1, pretrained_model_path=str(tmp_path / "m.pth"))
    again = train(started, tmp_path / "again")
    first, _ = read_checkpoint(again.best)
    assert any(not torch.equal(first[name], tensors[name]) for name in tensors)
    same = infer(spec, tmp_path / "m.pth", None, tmp_path / "a").scores
    assert same == infer(spec, trained.best, None, tmp_path / "b").scores
    torch.save({"state_dict": {**tensors, "difference.head.0.weight": torch.zeros(2, 2)}}, tmp_path / "m.pth")
    with pytest.raises(BundleError, match="shape"):
        infer(spec, tmp_path / "m.pth", None, tmp_path / "c")
    torch.save({"code": np.float64}, tmp_path / "m.pth")
    with pytest.raises(BundleError, match=r"m\.pth"):
        train(started, tmp_path / "third")


def test_a_resnet_from_a_local_file_has_four_levels(tmp_path: Path) -> None:
    torch.save(resnet_state("resnet18"), tmp_path / "r.pth")
    levels = build_levels("resnet_18", (64, 96), tmp_path / "r.pth")
    assert levels.channels == (64, 128, 256, 512) and levels.shapes == ((16, 24), (8, 12), (4, 6), (2, 3))


def test_the_offline_backbone_has_four_strides() -> None:
    levels = build_levels("efficientnet_lite0", (64, 64), None)
    assert levels.shapes == ((16, 16), (8, 8), (4, 4), (2, 2)) and levels.channels == (24, 40, 112, 320)


def test_backbones_that_cannot_be_had_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"noescape\.backbone=efficientnet_lite0"):
        build_levels("c_radio_v2_vit_base_patch16_224", (224, 224), None)
    with pytest.raises(UsageError, match="unknown backbone"):
        build_levels("fan_small_12_p4_hybrid", (224, 224), None)
    with pytest.raises(UsageError, match="multiples of 32"):
        build_levels("efficientnet_lite0", (100, 64), None)
    with pytest.raises(UsageError, match="does not exist"):
        build_levels("c_radio_v2_vit_base_patch16_224", (32, 32), tmp_path / "none.pth")


def _cradio(width: int = 768, depth: int = 4) -> dict[str, torch.Tensor]:
    w = Weights(3)
    rng = torch.Generator().manual_seed(5)
    for i in range(depth):
        p = f"blocks.{i}"
        w.norm(f"{p}.norm1", width, statistics=False)
        w.norm(f"{p}.norm2", width, statistics=False)
        w.linear(f"{p}.attn.qkv", 3 * width, width)
        w.linear(f"{p}.attn.proj", width, width)
        w.linear(f"{p}.mlp.fc1", 64, width)
        w.linear(f"{p}.mlp.fc2", width, 64)
    w.state["patch_generator.embedder.weight"] = torch.randn(width, 768, generator=rng) / 30
    w.state["patch_generator.pos_embed"] = torch.randn(1, 36, width, generator=rng)
    w.state["patch_generator.cls_token.token"] = torch.randn(8, width, generator=rng)
    return {f"radio_model.model.{n}": t for n, t in w.state.items()} | {"radio_model.adaptors.x": torch.zeros(1)}


def test_c_radio_is_what_its_parts_say(tmp_path: Path) -> None:
    """Against the arithmetic written out: patches, positions, summary tokens in front, blocks, no norm at the end."""
    state = _cradio()
    torch.save(state, tmp_path / "c.pth")
    levels = build_levels("c_radio_v2_vit_base_patch16_224", (32, 48), tmp_path / "c.pth")
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 255
    s = {n.removeprefix("radio_model.model."): t for n, t in state.items()}
    x = (image - levels.mean) * levels.scale
    patches = x.reshape(1, 3, 2, 16, 3, 16).permute(0, 2, 4, 1, 3, 5).reshape(1, 6, 768)
    positions = s["patch_generator.pos_embed"].reshape(1, 6, 6, 768).permute(0, 3, 1, 2)
    positions = torch.nn.functional.interpolate(positions, (3, 3), mode="bilinear", align_corners=True)[:, :, :2]
    t = patches @ s["patch_generator.embedder.weight"].T + positions.flatten(2).transpose(1, 2)
    t = torch.cat([s["patch_generator.cls_token.token"][None], t], 1)
    for i in range(4):
        t = _block(t, {n.removeprefix(f"blocks.{i}."): v for n, v in s.items() if n.startswith(f"blocks.{i}.")})
        if i == 2:
            third = t[:, 8:].transpose(1, 2).reshape(1, 768, 2, 3)
    got = levels(image)
    assert torch.allclose(got[2], third, atol=1e-3)
    assert [tuple(m.shape[2:]) for m in got] == [(8, 12), (4, 6), (2, 3), (1, 2)]


def _block(x: torch.Tensor, s: dict[str, torch.Tensor]) -> torch.Tensor:
    f = torch.nn.functional
    y = f.layer_norm(x, (768,), s["norm1.weight"], s["norm1.bias"], 1e-6)
    q, k, v = (y @ s["attn.qkv.weight"].T + s["attn.qkv.bias"]).reshape(1, -1, 3, 12, 64).permute(2, 0, 3, 1, 4)
    mixed_up = torch.softmax(q @ k.transpose(-1, -2) / 8, -1) @ v
    x = x + mixed_up.transpose(1, 2).reshape(1, -1, 768) @ s["attn.proj.weight"].T + s["attn.proj.bias"]
    y = f.layer_norm(x, (768,), s["norm2.weight"], s["norm2.bias"], 1e-6)
    y = f.gelu(y @ s["mlp.fc1.weight"].T + s["mlp.fc1.bias"])
    return x + y @ s["mlp.fc2.weight"].T + s["mlp.fc2.bias"]


def test_a_file_of_another_network_is_no_c_radio(tmp_path: Path) -> None:
    torch.save(resnet_state("resnet18"), tmp_path / "r.pth")
    with pytest.raises(BundleError, match=r"C-RADIOv2"):
        build_levels("c_radio_v2_vit_base_patch16_224", (32, 32), tmp_path / "r.pth")
