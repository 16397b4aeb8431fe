"""A tiny inpainting model of random weights, in the layout that diffusers loads, and a surface with dark spots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from defects_maker import write_png
from noescape.defects.placement.testcase import TestCase, write_testcases

SIDE = 32


def tiny_model(
    folder: Path, *, prediction: str = "sample", family: str = "sd", texts: bool = False, seed: int = 0
) -> Path:
    """UNet of 32 and 64 channels on nine, latents of half the side scaled to unit spread; `family` sd or sdxl; `texts`
    adds text encoders that read letters."""
    import torch
    from diffusers import DDPMScheduler, StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline

    xl = family == "sdxl"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: dict[str, Any] = {"unet": _unet(xl), "vae": _vae()}
        parts |= dict.fromkeys(("text_encoder", "tokenizer", "feature_extractor"))
        parts |= {"text_encoder_2": None, "tokenizer_2": None} if xl else {"safety_checker": None}
        if texts:
            parts |= _texts(folder.parent / f"{folder.name}-words", xl)
    parts["scheduler"] = DDPMScheduler(
        prediction_type=prediction, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
        clip_sample=False, steps_offset=1,
    )  # fmt: skip
    if xl:
        StableDiffusionXLInpaintPipeline(**parts).save_pretrained(folder)
    else:
        StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    return folder


def _unet(xl: bool) -> Any:
    from diffusers import UNet2DConditionModel

    more = {
        "addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 80,
    }  # fmt: skip
    return UNet2DConditionModel(
        sample_size=SIDE // 2, in_channels=9, out_channels=4, layers_per_block=1, block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=64 if xl else 32, attention_head_dim=8, norm_num_groups=8, **(more if xl else {}),
    )  # fmt: skip


def _vae() -> Any:
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4, layers_per_block=1,
    )  # fmt: skip
    with torch.no_grad():
        spread = vae.encode(torch.rand(1, 3, SIDE, SIDE) * 2 - 1).latent_dist.mode().std()
        vae.register_to_config(scaling_factor=round(float(1 / spread), 4))
    return vae


def _texts(folder: Path, xl: bool) -> dict[str, Any]:
    """Encoders of 32 dimensions on the letters of the alphabet."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{a}</w>" for a in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: n for n, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder), model_max_length=77)
    config = CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, projection_dim=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=77, bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    out = {"text_encoder": CLIPTextModel(config), "tokenizer": tokenizer}
    if xl:
        out |= {"text_encoder_2": CLIPTextModelWithProjection(config), "tokenizer_2": tokenizer}
    return out


def spotted_set(root: Path, *, examples: int = 6, kinds: tuple[str, ...] = ("spot",)) -> Path:
    """Grey surfaces 48 x 64 with a round spot, darker and redder (or for a second type bluer), and clean ones."""
    for k, kind in enumerate(kinds):
        for n in range(examples):
            image, mask = plain(10 * k + n), spot(10 * k + n)
            rng = np.random.default_rng(n)
            image[mask > 0] = np.clip(
                (70, 40, 30)[:: 1 - 2 * (k % 2)] + rng.normal(0, 8, (int((mask > 0).sum()), 3)), 0, 255
            )
            write_png(root / "plate" / "anomaly_image" / kind / f"e {n}.png", image)
            write_png(root / "plate" / "mask" / kind / f"e {n}_mask.png", mask)
    for n in range(4):
        write_png(root / "plate" / "clean_image" / f"c{n}.png", plain(100 + n))
    return root


def plain(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 5, (48, 64, 1))
    return np.repeat(np.clip(150 + noise, 0, 255), 3, axis=2).astype(np.uint8)


def spot(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed + 500)
    y, x = np.mgrid[:48, :64]
    cy, cx, r = rng.uniform(12, 36), rng.uniform(12, 52), rng.uniform(5, 9)
    return (((y - cy) ** 2 + (x - cx) ** 2 < r * r) * 255).astype(np.uint8)


def recipe(path: Path, model: Path, **changes: Any) -> Path:
    """An ag_config.yaml (JSON is YAML) for the tiny model; `changes` by flat key, `diffusion` merged."""
    diffusion = {
        "model": str(model), "lora_rank": 16, "tokens": 4, "prompt_noise": 0.02, "condition_dropout": 0.0,
        "validation_images": 1, "validation_steps": 3, "gradient_checkpointing": False,
        **changes.pop("diffusion", {}),
    }  # fmt: skip
    base = {
        "image_size": [SIDE, SIDE], "batch_size": 2, "lr": 5e-3, "max_iter": 6, "save_iter": 2, "validation_iter": 2,
        "ratio_range": [1.5, 3.0], "run_validation_on_start": True,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**base, **changes, "diffusion": diffusion}), "utf-8")
    return path


def cases(path: Path, data: Path, count: int = 5) -> Path:
    """Test cases on the clean images, each with a spot; every second row asks for two pictures."""
    rows = []
    for n in range(count):
        mask = write_png(path.parent / "masks" / f"{n}.png", spot(900 + n))
        rows.append(
            TestCase(
                image_filename=str(data / "plate" / "clean_image" / f"c{n % 4}.png"), mask_filename=str(mask),
                anomaly_type="plate+spot", num_steps=3, seed=n, num_generated_images=1 + n % 2,
            )
        )  # fmt: skip
    write_testcases(path, rows)
    return path
