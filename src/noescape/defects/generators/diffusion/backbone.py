"""The inpainting model under the adapters: Stable Diffusion or SDXL inpainting, frozen.

Legend: N pictures, S side in pixels, s side of the latents, C latent channels, T tokens, D their dimensions.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
)
from diffusers.utils.logging import disable_progress_bar
from torch.nn import functional

from noescape.defects.generators.diffusion.options import DiffusionOptions
from noescape.records import UsageError

SAMPLED = 4096  # values of each tensor that count for the fingerprint


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """What the UNet is told beside the picture: `context` [N, T, D], and for SDXL `pooled` [N, P]."""

    context: torch.Tensor
    pooled: torch.Tensor | None

    def times(self, count: int) -> Condition:
        """The same for each of `count` pictures."""
        pooled = None if self.pooled is None else self.pooled.expand(count, -1)
        return Condition(context=self.context.expand(count, -1, -1), pooled=pooled)


class Backbone:
    """A frozen inpainting model on one device; `unet` takes the adapters.

    `texts` holds the condition of each prompt asked for at loading ("" always): the text encoders are gone after that.
    """

    def __init__(self, pipe: Any, prompts: Sequence[str], device: torch.device, half: bool) -> None:
        self.unet, self.vae, self.device = pipe.unet, pipe.vae, device
        self.dtype = torch.bfloat16 if half else torch.float32
        self.fingerprint = _fingerprint(self.unet.float())
        self.family = "sdxl" if _wants_pooled(self.unet) else "sd"
        self.noising = DDPMScheduler.from_config(pipe.scheduler.config)
        self._sampling = pipe.scheduler.config
        self.texts = _texts(pipe, sorted({"", *prompts}), self.family)
        self.unet.requires_grad_(False).to(device, self.dtype)
        self.vae.requires_grad_(False).to(device, torch.float32)  # SDXL's overflows in half precision
        self.unet.eval()
        self.vae.eval()
        self.dims = int(self.unet.config.cross_attention_dim)
        self._scale = float(self.vae.config.scaling_factor)
        self._shift = float(getattr(self.vae.config, "shift_factor", None) or 0.0)
        self.texts = {
            text: Condition(context=c.context.to(device), pooled=None if c.pooled is None else c.pooled.to(device))
            for text, c in self.texts.items()
        }

    @property
    def channels(self) -> int:
        """Latent channels C."""
        return int(self.vae.config.latent_channels)

    def sampler(self, steps: int) -> DDIMScheduler:
        """A fresh deterministic sampler (DDIM, eta 0) over `steps` steps."""
        sampler = DDIMScheduler.from_config(self._sampling)
        sampler.set_timesteps(min(steps, sampler.config.num_train_timesteps), device=self.device)
        return sampler

    @torch.no_grad()
    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Pictures [N, 3, S, S] in -1..1 as latents [N, C, s, s] float32: the mean, so that nothing is drawn here."""
        latents: torch.Tensor = self.vae.encode(image.to(self.device, torch.float32)).latent_dist.mode()
        return (latents - self._shift) * self._scale

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The inverse of `encode`, clipped to -1..1."""
        image: torch.Tensor = self.vae.decode(latents.float() / self._scale + self._shift).sample
        return image.clamp(-1, 1)

    def small_mask(self, mask: torch.Tensor, side: int) -> torch.Tensor:
        """A mask [N, 1, S, S] on the latents' grid: a cell with any marked pixel counts, so a hair crack stays."""
        small: torch.Tensor = functional.adaptive_max_pool2d(mask.to(self.device, torch.float32), side)
        return small

    def predict(
        self, noisy: torch.Tensor, time: torch.Tensor, mask: torch.Tensor, masked: torch.Tensor, told: Condition
    ) -> torch.Tensor:
        """The UNet on cat(z_t, mask, z_masked) [N, 2C + 1, s, s], float32 out."""
        more: dict[str, torch.Tensor] | None = None
        if told.pooled is not None:
            pixels = float(noisy.shape[-1] * 2 ** (len(self.vae.config.block_out_channels) - 1))
            where = torch.tensor([pixels, pixels, 0.0, 0.0, pixels, pixels], device=self.device)
            more = {
                "text_embeds": told.pooled.to(self.dtype),
                "time_ids": where.expand(len(noisy), -1).to(self.dtype),
            }
        stacked = torch.cat([noisy, mask, masked], 1).to(self.dtype)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            out: torch.Tensor = self.unet(
                stacked, time, encoder_hidden_states=told.context.to(self.dtype), added_cond_kwargs=more
            ).sample
        return out.float()


def load_backbone(options: DiffusionOptions, prompts: Sequence[str], device: torch.device) -> Backbone:
    """Load the model that `options.model` names; UsageError when it is not there, or is no inpainting model.

    Memory: its weights in float32 on the CPU for a moment, then in the working precision on the device.
    """
    where = str(options.model)
    how: dict[str, Any] = {
        "local_files_only": not options.allow_download,
        "revision": options.revision,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what these libraries hold against each other
            pipe = _open_pipeline(where, options.variant, how)
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "" if options.allow_download else "; nothing is fetched unless diffusion.allow_download is true"
        raise UsageError(
            f"diffusion.model {where!r}: expected a folder (or the hub id of a model on this machine) of an inpainting "
            f"model in the diffusers layout with safetensors weights{hint} ({' '.join(str(error).split())[:300]})"
        ) from None
    wanted = 2 * int(pipe.vae.config.latent_channels) + 1
    if int(pipe.unet.config.in_channels) != wanted:
        raise UsageError(
            f"diffusion.model {where!r}: expected an inpainting UNet with {wanted} input channels (latents, mask, "
            f"masked latents), this one has {pipe.unet.config.in_channels}"
        )
    return Backbone(pipe, prompts, device, use_half(options.precision, device))


def _open_pipeline(where: str, variant: str | None, how: dict[str, Any]) -> Any:
    config = DiffusionPipeline.load_config(where, **how)
    kind = StableDiffusionXLInpaintPipeline if "text_encoder_2" in config else StableDiffusionInpaintPipeline
    more: dict[str, Any] = {n: None for n, made_of in config.items() if made_of in ([None, None], (None, None))}
    if "safety_checker" in config:  # it would blank pictures of parts at random, and costs a gigabyte
        more |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    disable_progress_bar()
    return kind.from_pretrained(where, use_safetensors=True, variant=variant, **how, **more)


def use_half(precision: str, device: torch.device) -> bool:
    """bf16 where it was asked for, by default on GPUs."""
    return precision == "bf16" or (precision == "auto" and device.type == "cuda")


def _wants_pooled(unet: Any) -> bool:
    return getattr(unet.config, "addition_embed_type", None) == "text_time"


@torch.no_grad()
def _texts(pipe: Any, prompts: Sequence[str], family: str) -> dict[str, Condition]:
    """The condition of each prompt, float32 on the CPU; without a text encoder no text tokens at all."""
    dims = int(pipe.unet.config.cross_attention_dim)
    if getattr(pipe, "text_encoder", None) is None and getattr(pipe, "text_encoder_2", None) is None:
        pooled = torch.zeros(1, _pooled_dims(pipe.unet)) if family == "sdxl" else None
        return {text: Condition(context=torch.zeros(1, 0, dims), pooled=pooled) for text in prompts}
    out = {}
    for text in prompts:
        made = pipe.encode_prompt(prompt=text, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
        pooled = made[2].float() if family == "sdxl" else None
        context = made[0].float()
        if not text and getattr(pipe.config, "force_zeros_for_empty_prompt", False):
            context, pooled = torch.zeros_like(context), None if pooled is None else torch.zeros_like(pooled)
        out[text] = Condition(context=context, pooled=pooled)
    pipe.text_encoder = None
    if family == "sdxl":
        pipe.text_encoder_2 = None
    return out


def _pooled_dims(unet: Any) -> int:
    return int(unet.config.projection_class_embeddings_input_dim) - 6 * int(unet.config.addition_time_embed_dim)


def _fingerprint(unet: Any) -> str:
    """Hex sha256 over names, shapes and evenly spaced values of the weights: tells models apart in well under a second
    where hashing gigabytes would take many."""
    digest = hashlib.sha256()
    for name, tensor in sorted(unet.state_dict().items()):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, len(flat) // SAMPLED)].float().cpu().contiguous().numpy()
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(some.tobytes())
    return digest.hexdigest()
