"""The classify spec: keys and defaults of the TAO-style YAML, typed; what is ours stands in one section, `noescape:`.

Sections that this program has no use for (segmentation, TensorRT, clusters) are accepted and left alone, so that a file
written for another reader is read here as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from noescape.changenet.spec_data import ClassifyData, Count, Part, Rows, Share

__all__ = ["ClassifyData", "ClassifyModel", "Model", "Ours", "Rows", "Spec", "Train"]

Positive = Annotated[float, Field(gt=0)]
PAIRED = {"contrastive": "euclidean", "ce": "learnable"}  # loss: difference module


class Dataset(Part):
    """`classify` is read; the rest is for other readers."""

    classify: ClassifyData = ClassifyData()
    segment: dict[str, Any] | None = None


class Backbone(Part):
    """`type`: efficientnet_lite0 (offline), lite1, lite2, mobilenet_v2, resnet18 …, vit_base_patch16, dinov2_vitb14,
    c_radio_v2_vit_base_patch16_224 …; `pretrained_backbone_path`: a local weights file."""

    type: str = "efficientnet_lite0"
    pretrained_backbone_path: str | None = None
    freeze_backbone: bool = False
    feat_downsample: bool = False


class Decoder(Part):
    """Width of the difference maps."""

    embed_dim: Count = 256


class Head(Part):
    """Of the decoder, only `decoder_params.embed_dim` is used here; strides follow from the backbone."""

    in_channels: tuple[int, ...] | None = None
    in_index: tuple[int, ...] | None = None
    feature_strides: tuple[int, ...] = (4, 8, 16, 16)
    align_corners: bool = False
    use_summary_token: bool = False
    decoder_params: Decoder = Decoder()


class ClassifyModel(Part):
    """The classify head. `eval_margin` is the threshold that `evaluate` judges with."""

    train_margin_euclid: Positive = 2.0
    eval_margin: float = 2.0
    embedding_vectors: Count = 5
    embed_dec: Count = 5
    difference_module: Literal["euclidean", "learnable"] = "euclidean"
    learnable_difference_modules: Annotated[int, Field(ge=1, le=4)] = 4


class Model(Part):
    """The network."""

    backbone: Backbone = Backbone()
    decode_head: Head = Head()
    classify: ClassifyModel = ClassifyModel()


class ClassifyTrain(Part):
    """Loss and the weights of PASS and NO_PASS in it."""

    loss: Literal["ce", "contrastive"] = "contrastive"
    cls_weight: tuple[Positive, Positive] = (1.0, 10.0)


class Optim(Part):
    """Optimiser, learning rate and its course over the epochs."""

    lr: Positive = 1e-4
    optim: Literal["adamw", "adam", "sgd"] = "adamw"
    policy: Literal["linear", "step"] = "linear"
    momentum: Share = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    monitor: Literal["val_loss"] = "val_loss"


class TensorBoard(Part):
    """Off unless asked for."""

    enabled: bool = False
    infrequent_logging_frequency: Count = 2


class Train(Part):
    """How long, with what, from where."""

    classify: ClassifyTrain = ClassifyTrain()
    optim: Optim = Optim()
    num_epochs: Count = 10
    checkpoint_interval: Count = 1
    checkpoint_interval_unit: Literal["epoch"] = "epoch"
    validation_interval: Count = 1
    seed: Annotated[int, Field(ge=0)] = 1234
    pretrained_model_path: str | None = None
    resume_training_checkpoint_path: str | None = None
    results_dir: str | None = None
    precision: Literal["32-true", "fp32"] = "32-true"
    tensorboard: TensorBoard = TensorBoard()
    enable_tensorboard: bool | None = None
    sync_batchnorm: bool = False
    use_distributed_sampler: bool = False
    activation_checkpoint: bool = False
    num_gpus: Annotated[int, Field(ge=0)] = 1
    gpu_ids: tuple[int, ...] = (0,)
    num_nodes: Count = 1
    verbose: bool = False
    cudnn: dict[str, bool] | None = None
    segment: dict[str, Any] | None = None


class Judge(Part):
    """`evaluate` and `inference`: which checkpoint, and where results go."""

    checkpoint: str | None = None
    results_dir: str | None = None
    batch_size: int = -1
    num_gpus: Annotated[int, Field(ge=0)] = 1
    gpu_ids: tuple[int, ...] = (0,)
    num_nodes: Count = 1
    trt_engine: str | None = None
    vis_after_n_batches: int | None = None


class Export(Part):
    """Which checkpoint becomes a graph for another runtime, and where."""

    checkpoint: str | None = None
    results_dir: str | None = None
    onnx_file: str | None = None
    opset_version: int = 18
    batch_size: int = 1
    gpu_id: int = 0
    on_cpu: bool = True
    input_channel: int = 3
    input_width: int | None = None
    input_height: int | None = None
    verbose: bool = False


class Ours(Part):
    """What no other reader knows.

    `trainer`: cached (frozen features, light head), mapnet (the whole pair, needs `boxes`), finetune (end to end) or
    auto: mapnet where `boxes` are named, finetune for euclidean specs, else cached. `backbone` replaces
    model.backbone.type, `weights` its local weights file. `registration` of goldens: auto, blocks, flow or none.
    `boxes`: a CSV (input_path, object_name, x0, y0, x1, y1, and type if known) of the defects in the NO_PASS images,
    px. `strengths` are those of the L2 penalty that the cached head is tried with. `cache_dir`: where features are
    kept (null: `features` in the run). `nets`, `steps`, `width`: of the map network.
    """

    trainer: Literal["auto", "cached", "mapnet", "finetune"] = "auto"
    backbone: str | None = None
    weights: str | None = None
    registration: Literal["auto", "blocks", "flow", "none"] = "auto"
    boxes: str | None = None
    strengths: tuple[Positive, ...] = (3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    cache_dir: str | None = None
    device: str = "cpu"
    nets: Count = 2
    steps: Count = 1500
    width: Positive = 1.0


class Spec(Part):
    """The whole of it; see `load_spec`. Paths that are not absolute start at the working directory."""

    task: Literal["classify"] = "classify"
    results_dir: str = "results"
    encryption_key: str | None = None
    automl_policy: str | bool | None = None
    train: Train = Train()
    model: Model = Model()
    dataset: Dataset = Dataset()
    evaluate: Judge = Judge()
    inference: Judge = Judge()
    export: Export = Export()
    gen_trt_engine: dict[str, Any] | None = None
    wandb: dict[str, Any] | None = None
    clearml: dict[str, Any] | None = None
    noescape: Ours = Ours()

    @model_validator(mode="after")
    def _loss_and_difference_belong_together(self) -> Spec:
        loss, module = self.train.classify.loss, self.model.classify.difference_module
        if PAIRED[loss] != module:
            raise ValueError(
                f"train.classify.loss {loss} goes with model.classify.difference_module {PAIRED[loss]}, got {module}"
            )
        return self

    @property
    def trainer(self) -> str:
        """cached, mapnet or finetune."""
        if self.noescape.trainer != "auto":
            return self.noescape.trainer
        if self.noescape.boxes:
            return "mapnet"
        return "finetune" if self.model.classify.difference_module == "euclidean" else "cached"

    @property
    def backbone(self) -> str:
        """The backbone that is used."""
        return self.noescape.backbone or self.model.backbone.type

    @property
    def weights(self) -> Path | None:
        """Its local weights file, if one is named."""
        given = self.noescape.weights
        if given is None and self.noescape.backbone in (None, self.model.backbone.type):
            given = self.model.backbone.pretrained_backbone_path
        return Path(given) if given else None

    def folder(self, command: str) -> Path:
        """Where results of train, evaluate, inference or export go."""
        return Path(getattr(self, command).results_dir or Path(self.results_dir) / command)
