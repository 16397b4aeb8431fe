"""The diffusion tier and its libraries: text encoders, both families, and the same picture by their own pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

from defects_maker import write_png
from diffusion_maker import SIDE, cases, plain, recipe, spotted_set, tiny_model
from noescape.datasets.anomalygen import read_anomalygen
from noescape.defects.generators.base import generator_class
from noescape.defects.generators.checkpoints import open_checkpoint
from noescape.defects.generators.diffusion.adapters import Adapters, noised
from noescape.defects.generators.diffusion.backbone import load_backbone
from noescape.defects.generators.diffusion.denoise import draw, masked_loss
from noescape.defects.generators.diffusion.examples import Views, tensor_of
from noescape.defects.generators.diffusion.generator import MODEL_VARIABLE, DiffusionGenerator
from noescape.defects.generators.diffusion.options import DiffusionOptions
from noescape.defects.generators.diffusion.schedule import stream
from noescape.defects.generators.recipe import read_recipe
from noescape.defects.placement.testcase import TestCase, read_testcases
from noescape.records import BundleError, UsageError

pytestmark = pytest.mark.torture

CPU = torch.device("cpu")
MODELS = [("sd", False, "f32"), ("sd", True, "bf16"), ("sdxl", False, "bf16"), ("sdxl", True, "f32")]


def options_of(model: Path, **changes: Any) -> DiffusionOptions:
    return DiffusionOptions(model=str(model), lora_rank=4, tokens=2, prompt_noise=0.0, **changes)


def adapters_of(model: Path, **changes: Any) -> Adapters:
    options = options_of(model, **changes)
    types = ["plate+spot", "plate+dot"]
    return Adapters(load_backbone(options, [options.words(t) for t in types], CPU), options, types, seed=1)


def shaken(adapters: Adapters) -> Adapters:
    """Weights as after a training: a fresh adapter adds nothing."""
    with torch.no_grad():
        for kind in range(2):
            for n, p in enumerate(adapters.parameters(kind).values()):
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(100 * kind + n)) * 0.1)
    return adapters


def view() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:20, 10:24] = 255
    return np.ascontiguousarray(plain(1)[:SIDE, :SIDE]), mask


@pytest.mark.parametrize(("family", "texts", "precision"), MODELS)
def test_every_kind_of_model_is_trained_saved_and_drawn_with(
    family: str, texts: bool, precision: str, tmp_path: Path
) -> None:
    """With and without text encoders, in both precisions; gradient checkpointing and dropped conditions included."""
    model = tiny_model(tmp_path / "model", family=family, texts=texts, prediction="epsilon")
    data = read_anomalygen(spotted_set(tmp_path / "data", kinds=("spot", "dot")))
    extra = {"gradient_checkpointing": True, "condition_dropout": 0.5, "precision": precision}
    config = read_recipe(recipe(tmp_path / "r.yaml", model, max_iter=4, save_iter=4, diffusion=extra))
    seen: list[tuple[int, int]] = []
    step = DiffusionGenerator.finetune(data, config, tmp_path / "out", lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert open_checkpoint(tmp_path / "out").path == step
    generator = DiffusionGenerator.load(step)
    assert generator.types == ("plate+dot", "plate+spot") and generator.adapters.backbone.family == family
    case = read_testcases(cases(tmp_path / "c" / "t.jsonl", tmp_path / "data", count=1))[0]
    one, two = (generator.infer(case, np.random.default_rng(4)) for _ in range(2))
    assert (one.image == two.image).all() and (one.image != one.clean).any()
    assert (generator.infer(case, np.random.default_rng(5)).image != one.image).any()
    far = np.abs(np.indices(one.mask.shape) - np.argwhere(one.mask).mean(0)[:, None, None]).max(0) > 14
    assert (one.image == one.clean)[far].all()


def test_memory_is_saved_without_changing_what_is_learnt(tmp_path: Path) -> None:
    """Gradient checkpointing computes the same gradients again."""
    model = tiny_model(tmp_path / "model", texts=True)
    data = read_anomalygen(spotted_set(tmp_path / "data"))
    found = []
    for saving in (False, True):
        extra = {"gradient_checkpointing": saving, "validation_images": 0}
        config = read_recipe(recipe(tmp_path / f"{saving}.yaml", model, max_iter=3, save_iter=3, diffusion=extra))
        step = DiffusionGenerator.finetune(data, config, tmp_path / str(saving), lambda done, total: None)
        found.append((step / "adapter_000.safetensors").read_bytes())
    assert found[0] == found[1]


def test_a_training_made_longer_goes_through_the_same_steps(tmp_path: Path) -> None:
    """Resumed after each step, in one process; moments of tokens that a step did not use are kept too."""
    model = tiny_model(tmp_path / "model")
    data = read_anomalygen(spotted_set(tmp_path / "data"))
    extra = {"condition_dropout": 0.5, "validation_images": 0}
    for out, lengths in (("once", [6]), ("often", [1, 2, 3, 4, 5, 6])):
        for length in lengths:
            values = {"max_iter": length, "save_iter": 6, "validation_iter": 6, "warm_up_steps": 3, "diffusion": extra}
            config = read_recipe(recipe(tmp_path / "r.yaml", model, **values))
            step = DiffusionGenerator.finetune(data, config, tmp_path / out, lambda done, total: None)
            assert step.name == f"iter_{length:09d}"
    once, often = (tmp_path / out / "checkpoints" / "model" / "iter_000000006" for out in ("once", "often"))
    assert {p.name: p.read_bytes() for p in once.iterdir()} == {p.name: p.read_bytes() for p in often.iterdir()}


def test_training_ends_when_its_scores_stall(tmp_path: Path) -> None:
    """Without a learning rate to speak of nothing is gained: after `patience` looks it saves and stops, for good."""
    model = tiny_model(tmp_path / "model")
    data = read_anomalygen(spotted_set(tmp_path / "data"))
    flat = {"early_stop_enabled": True, "early_stop_patience": 2, "lr": 1e-12, "max_iter": 9, "validation_iter": 1}
    config = read_recipe(recipe(tmp_path / "r.yaml", model, save_iter=50, **flat, diffusion={"validation_images": 0}))
    for _ in range(2):
        step = DiffusionGenerator.finetune(data, config, tmp_path / "out", lambda done, total: None)
        assert step.name == "iter_000000003" and open_checkpoint(tmp_path / "out").number == 3


def test_texts_decide_what_the_model_is_told(tmp_path: Path) -> None:
    adapters = adapters_of(tiny_model(tmp_path / "model", texts=True))
    first, second, none = adapters.told(0).context, adapters.told(1).context, adapters.untold().context
    assert first.shape == second.shape == none.shape == (1, 77 + 2, 32)
    assert (first[:, :77] != second[:, :77]).any() and (first[:, :77] != none[:, :77]).any()
    assert not none[:, 77:].any() and first[:, 77:].any()


def test_our_sampler_draws_what_the_librarys_own_pipeline_draws(tmp_path: Path) -> None:
    """Two roads: the same adapter, condition, noise and steps through StableDiffusionInpaintPipeline."""
    model = tiny_model(tmp_path / "model", prediction="epsilon")
    adapters = shaken(adapters_of(model))
    image, mask = view()
    ours = draw(adapters, 1, image, mask, guidance=3.0, steps=5, rng=stream(9))
    backbone = adapters.backbone
    noise = torch.from_numpy(stream(9).standard_normal((1, 4, SIDE // 2, SIDE // 2), np.float32))
    hole = torch.from_numpy((mask > 0).astype(np.float32))[None, None]
    pipe = StableDiffusionInpaintPipeline(
        vae=backbone.vae, text_encoder=None, tokenizer=None, unet=backbone.unet, safety_checker=None,
        feature_extractor=None, scheduler=DDIMScheduler.from_config(backbone.noising.config),
        requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        theirs = pipe(
            image=tensor_of(image), mask_image=hole, height=SIDE, width=SIDE, num_inference_steps=5, guidance_scale=3.0,
            prompt_embeds=adapters.told(1).context, negative_prompt_embeds=adapters.untold().context, latents=noise,
            masked_image_latents=backbone.encode(tensor_of(image) * (1 - hole)), output_type="np",
        ).images[0]  # fmt: skip
    assert np.abs(ours / 255 - theirs).max() < 0.5 / 255 + 1e-3
    adapters.use(0)
    assert (draw(adapters, 0, image, mask, guidance=3.0, steps=5, rng=stream(9)) != ours).any()


def test_other_programs_can_load_our_adapters(tmp_path: Path) -> None:
    """The weights that diffusers' own loader puts into its pipeline give the same prediction as ours."""
    model = tiny_model(tmp_path / "model")
    adapters = shaken(adapters_of(model))
    tensors = adapters.files()["adapter_001.safetensors"]
    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        model, text_encoder=None, tokenizer=None, safety_checker=None, feature_extractor=None
    )
    pipe.load_lora_weights({k: v for k, v in tensors.items() if k != "tokens"}, adapter_name="x")
    x, t, told = torch.randn(1, 9, 16, 16), torch.tensor([300]), adapters.told(1).context
    with torch.no_grad():
        with adapters.at_work(1):
            ours = adapters.backbone.unet(x, t, encoder_hidden_states=told).sample
        assert torch.allclose(pipe.unet(x, t, encoder_hidden_states=told).sample, ours, atol=1e-5)
        pipe.unet.disable_adapters()
        assert not torch.allclose(pipe.unet(x, t, encoder_hidden_states=told).sample, ours, atol=1e-3)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_the_loss_is_zero_for_who_predicts_perfectly(prediction: str, tmp_path: Path) -> None:
    """And counts an error in the mask five times as much as one outside."""
    adapters = adapters_of(tiny_model(tmp_path / "model", prediction=prediction))
    backbone = adapters.backbone
    image, mask = view()
    views = Views(image=tensor_of(image), mask=torch.from_numpy((mask > 0).astype(np.float32))[None, None])
    times = torch.tensor([500])
    clean = backbone.encode(views.image)
    noise = torch.from_numpy(stream(2).standard_normal(tuple(clean.shape), np.float32))
    perfect = {
        "epsilon": noise, "sample": clean, "v_prediction": backbone.noising.get_velocity(clean, noise, times),
    }[prediction]  # fmt: skip
    small = backbone.small_mask(views.mask, SIDE // 2)
    losses = []
    for error in (0 * small, small, 1 - small):
        backbone.predict = lambda *a, wrong=error: perfect + wrong  # type: ignore[method-assign]
        losses.append(float(masked_loss(backbone, views, adapters.told(0), times, stream(2), 0.2)))
    inside, outside = float(small.sum()), float((1 - small).sum())
    assert losses[0] < 1e-12
    assert losses[1] == pytest.approx(inside / (inside + 0.2 * outside), rel=1e-5)
    assert losses[1] + losses[2] == pytest.approx(1, rel=1e-5)


def test_prompt_noise_is_relative_and_comes_from_the_stream_alone(tmp_path: Path) -> None:
    told = adapters_of(tiny_model(tmp_path / "model", texts=True)).told(0)
    a, b = (noised(told, 0.1, stream(1)).context for _ in range(2))
    assert torch.equal(a, b)
    spread = float((a - told.context).detach().square().mean().sqrt() / told.context.detach().square().mean().sqrt())
    assert 0.08 < spread < 0.12 and noised(told, 0.0, stream(1)) is told


def test_several_parts_are_drawn_one_by_one_each_in_its_own_window(tmp_path: Path) -> None:
    generator = DiffusionGenerator(shaken(adapters_of(tiny_model(tmp_path / "model"))), SIDE)
    spotted_set(tmp_path / "data")
    mask = np.zeros((48, 64), np.uint8)
    mask[4:12, 4:12] = mask[30:40, 45:58] = 255
    row = {
        "image_filename": str(tmp_path / "data" / "plate" / "clean_image" / "c0.png"), "num_steps": 2,
        "mask_filename": str(write_png(tmp_path / "m.png", mask)), "anomaly_type": "plate+spot",
    }  # fmt: skip
    parts = generator.infer(TestCase.model_validate(row), stream(1))
    whole = generator.infer(TestCase.model_validate({**row, "iteration_generation_max_instance": 1}), stream(1))
    assert len(parts.provenance["windows_xys"]) == 2 and len(whole.provenance["windows_xys"]) == 1
    assert len(parts.instances) == len(whole.instances) == 2 and (parts.mask == mask).all()
    for box, _ in parts.instances:
        at = np.s_[box[1] : box[3], box[0] : box[2]]
        assert (parts.image[at] != parts.clean[at]).any()


def test_a_model_that_is_no_inpainting_model_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is fetched unless"):
        load_backbone(options_of(tmp_path / "none"), [], CPU)
    with pytest.raises(UsageError, match="expected a folder"):
        load_backbone(options_of(Path("somebody/some-model-that-is-not-here")), [], CPU)
    model = tiny_model(tmp_path / "model")
    with pytest.raises(UsageError, match="no such layers"):
        adapters_of(model, targets=("to_nothing",))
    (model / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UsageError, match="safetensors weights"):
        load_backbone(options_of(model), [], CPU)


def test_a_checkpoint_finds_its_model_where_the_variable_says_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(tmp_path / "model")
    data = read_anomalygen(spotted_set(tmp_path / "data"))
    quick = {"validation_images": 0}
    config = read_recipe(recipe(tmp_path / "r.yaml", model, max_iter=1, save_iter=1, diffusion=quick))
    step = generator_class("diffusion").finetune(data, config, tmp_path / "out", lambda done, total: None)
    model.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match="expected a folder"):
        DiffusionGenerator.load(step)
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "moved"))
    assert DiffusionGenerator.load(step).types == ("plate+spot",)
    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model(tmp_path / "other", seed=1)))
    with pytest.raises(BundleError, match="another model"):
        DiffusionGenerator.load(step)
