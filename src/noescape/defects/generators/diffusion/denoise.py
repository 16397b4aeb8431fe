"""The two things done with the model: the loss of a batch, and drawing into a window."""

from __future__ import annotations

import numpy as np
import torch

from noescape.defects.generators.diffusion.adapters import Adapters, noised
from noescape.defects.generators.diffusion.backbone import Backbone, Condition
from noescape.defects.generators.diffusion.examples import Views, tensor_of
from noescape.defects.generators.diffusion.window import U8


def masked_loss(
    backbone: Backbone, views: Views, told: Condition, times: torch.Tensor, rng: np.random.Generator, outside: float
) -> torch.Tensor:
    """Loss [N] of each picture at its time [N]: squared error of what the model predicts (noise, picture or velocity,
    as its own schedule says), weight 1 in the mask and `outside` elsewhere, over the sum of weights."""
    clean = backbone.encode(views.image)
    noise = _normal(tuple(clean.shape), rng, backbone.device)
    mask = backbone.small_mask(views.mask, clean.shape[-1])
    hidden = views.mask.to(backbone.device)
    masked = backbone.encode(views.image.to(backbone.device) * (1 - hidden))
    times = times.to(backbone.device)
    noisy = backbone.noising.add_noise(clean, noise, times)
    error = backbone.predict(noisy, times, mask, masked, told) - _target(backbone, clean, noise, times)
    weight = mask + outside * (1 - mask)
    return (error.square().mean(1, keepdim=True) * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def random_times(count: int, backbone: Backbone, rng: np.random.Generator) -> torch.Tensor:
    """`count` times, evenly over the schedule."""
    return torch.from_numpy(rng.integers(0, backbone.noising.config.num_train_timesteps, count))


def spread_times(count: int, backbone: Backbone, part: int, parts: int) -> torch.Tensor:
    """`count` fixed times; those of all `parts` together cover the schedule evenly."""
    share = (np.arange(count) * parts + part + 0.5) / (count * parts)
    return torch.from_numpy((share * backbone.noising.config.num_train_timesteps).astype(np.int64))


def draw(
    adapters: Adapters, kind: int, view: U8, mask: U8, *, guidance: float, steps: int, rng: np.random.Generator
) -> U8:
    """The window `view` [S, S, 3] with a defect of type `kind` drawn where `mask` [S, S] is; nothing of what lies under
    the mask is seen. Guidance over 1 runs the UNet twice a step. All noise comes from `rng`, whatever the device."""
    backbone = adapters.backbone
    hole = torch.from_numpy((mask > 0).astype(np.float32))[None, None].to(backbone.device)
    with adapters.at_work(kind):
        masked = backbone.encode(tensor_of(view).to(backbone.device) * (1 - hole))
        small = backbone.small_mask(hole, masked.shape[-1])
        conditions = [noised(adapters.told(kind), adapters.options.prompt_noise, rng)]
        if guidance > 1:
            conditions.append(adapters.untold())
        told = _joined(conditions)
        sampler = backbone.sampler(steps)
        latents = _normal(tuple(masked.shape), rng, backbone.device) * sampler.init_noise_sigma
        many = len(conditions)
        for time in sampler.timesteps:
            scaled = sampler.scale_model_input(latents, time).repeat(many, 1, 1, 1)
            out = backbone.predict(scaled, time, small.repeat(many, 1, 1, 1), masked.repeat(many, 1, 1, 1), told)
            guided = out[:1] if many == 1 else out[1:] + guidance * (out[:1] - out[1:])
            latents = sampler.step(guided, time, latents).prev_sample
        image = backbone.decode(latents)[0]
    if not bool(torch.isfinite(image).all()):
        raise ArithmeticError("the model drew values that are no numbers: its training diverged, or bf16 is too coarse")
    return (((image.permute(1, 2, 0).cpu().numpy() + 1) * 127.5).round().clip(0, 255)).astype(np.uint8)


def _joined(conditions: list[Condition]) -> Condition:
    pooled = [c.pooled for c in conditions if c.pooled is not None]
    return Condition(context=torch.cat([c.context for c in conditions]), pooled=torch.cat(pooled) if pooled else None)


def _normal(shape: tuple[int, ...], rng: np.random.Generator, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32)).to(device)


def _target(backbone: Backbone, clean: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    what = backbone.noising.config.prediction_type
    if what == "epsilon":
        return noise
    if what == "sample":
        return clean
    velocity: torch.Tensor = backbone.noising.get_velocity(clean, noise, times)
    return velocity
