"""One low-rank adapter on the attention layers and a few learnt tokens per type of defect."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer

from noescape.defects.generators.diffusion.backbone import Backbone, Condition
from noescape.defects.generators.diffusion.options import DiffusionOptions
from noescape.defects.generators.diffusion.schedule import WEIGHTS, torch_seed
from noescape.records import BundleError, UsageError

Tensors = dict[str, torch.Tensor]
PREFIX = "unet."  # as diffusers names adapter weights, so that its pipelines load them too
TOKENS = "tokens"


class Adapters:
    """The trainable part of a model: `types[i]` owns the adapter "type<i>" and `tokens[i]` float32 [1, K, D].

    All weights are float32, whatever the model under them is. Just one adapter is at work at a time (`at_work`).
    """

    def __init__(self, backbone: Backbone, options: DiffusionOptions, types: Sequence[str], seed: int) -> None:
        self.backbone, self.options, self.types = backbone, options, tuple(types)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are what we want
            for i in range(len(types)):
                torch.manual_seed(torch_seed(seed, WEIGHTS, i))
                self._add(i)
            start = [torch.randn(1, options.tokens, backbone.dims) * 0.02 for _ in types]
        self.tokens = [torch.nn.Parameter(t.to(backbone.device)) for t in start]
        self._layers = {n: m for n, m in backbone.unet.named_modules() if isinstance(m, LoraLayer)}
        for layer in self._layers.values():
            for half in (layer.lora_A, layer.lora_B):
                half.to(backbone.device, torch.float32)

    def parameters(self, kind: int) -> dict[str, torch.nn.Parameter]:
        """The weights of one type by their name in its file, in a fixed order."""
        out: dict[str, torch.nn.Parameter] = {}
        for layer_name, layer in sorted(self._layers.items()):
            for half, held in (("lora_A", layer.lora_A), ("lora_B", layer.lora_B)):
                out[f"{PREFIX}{layer_name}.{half}.weight"] = held[_name(kind)].weight
        if self.options.tokens:
            out[TOKENS] = self.tokens[kind]
        return out

    def use(self, kind: int) -> None:
        """Let the adapter of one type be at work, and only its weights be learnt."""
        self.backbone.unet.set_adapter(_name(kind))
        for i, tokens in enumerate(self.tokens):
            tokens.requires_grad_(i == kind)

    @contextmanager
    def at_work(self, kind: int) -> Iterator[None]:
        """Use one type's adapter without learning."""
        self.use(kind)
        with torch.no_grad():
            yield

    def told(self, kind: int) -> Condition:
        """What the UNet is told for a type: its text, then its learnt tokens."""
        text = self.backbone.texts[self.options.words(self.types[kind])]
        return Condition(context=torch.cat([text.context, self.tokens[kind]], 1), pooled=text.pooled)

    def untold(self) -> Condition:
        """The empty text and zeros for tokens: what guidance compares with."""
        text = self.backbone.texts[""]
        none = torch.zeros(1, self.options.tokens, self.backbone.dims, device=self.backbone.device)
        return Condition(context=torch.cat([text.context, none], 1), pooled=text.pooled)

    def files(self) -> dict[str, Tensors]:
        """The weights of each type, float32 on the CPU, by file name."""
        return {
            file_name(i): {n: p.detach().cpu().contiguous() for n, p in self.parameters(i).items()}
            for i in range(len(self.types))
        }

    def restore(self, files: Mapping[str, Tensors]) -> None:
        """The inverse of `files`. BundleError when names or shapes are others."""
        for i, key in enumerate(self.types):
            mine, theirs = self.parameters(i), files.get(file_name(i), {})
            wrong = [
                n for n in {*mine, *theirs} if n not in mine or n not in theirs or mine[n].shape != theirs[n].shape
            ]
            if wrong:
                raise BundleError(
                    f"the adapter of {key} does not fit this model: {len(wrong)} tensors, as {wrong[0]!r}"
                )
            with torch.no_grad():
                for name, parameter in mine.items():
                    parameter.copy_(theirs[name])

    def _add(self, kind: int) -> None:
        o = self.options
        config = LoraConfig(
            r=o.lora_rank, lora_alpha=o.alpha, target_modules=list(o.targets), init_lora_weights="gaussian"
        )
        try:
            self.backbone.unet.add_adapter(config, adapter_name=_name(kind))
        except ValueError as error:
            raise UsageError(f"diffusion.targets {list(o.targets)}: the model has no such layers ({error})") from None


def noised(told: Condition, strength: float, rng: np.random.Generator) -> Condition:
    """`told` with Gaussian noise of `strength` times the root mean square of its tokens: more variety, less rote."""
    if not strength or not told.context.numel():
        return told
    noise = torch.from_numpy(rng.standard_normal(tuple(told.context.shape), np.float32)).to(told.context.device)
    size = told.context.detach().square().mean().sqrt()
    return Condition(context=told.context + noise * (strength * size), pooled=told.pooled)


def file_name(kind: int) -> str:
    """The file of one type's adapter in a saved step."""
    return f"adapter_{kind:03d}.safetensors"


def _name(kind: int) -> str:
    return f"type{kind}"
