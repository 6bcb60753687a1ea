"""Models of timm, tiny and with random weights: paths, attention and features dropped, beside norms and in windows."""

from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet, decode_arch_def
from timm.models.resnet import BasicBlock, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

from tests.conformance.case import Case, normal

BLOCKS = [["ds_r1_k3_s1_e1_c8_se0.25"], ["ir_r3_k3_s2_e2_c8_se0.25"]]  # separable, then inverted residuals
IMAGES = (normal(3, 3, 16, 16),)


def resnet(**rates: float) -> ResNet:
    return ResNet(BasicBlock, (1, 1, 1, 1), channels=(8, 8, 8, 8), stem_width=8, num_classes=3, **rates)


def swin() -> SwinTransformer:
    """Windows of 2 x 2 tokens, shifted in every second block."""
    rates = {"drop_rate": 0.2, "proj_drop_rate": 0.1, "attn_drop_rate": 0.3, "drop_path_rate": 0.3}
    sizes = {"patch_size": 2, "window_size": 2, "embed_dim": 8, "mlp_ratio": 1.0, "num_classes": 3}
    return SwinTransformer(img_size=8, depths=(2, 1), num_heads=(2, 2), **sizes, **rates)


def vit(**rates: float) -> VisionTransformer:
    sizes = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0, "num_classes": 3}
    return VisionTransformer(img_size=8, **sizes, **rates)


def efficientnet() -> EfficientNet:
    sizes = {"stem_size": 8, "num_features": 12, "num_classes": 3}
    return EfficientNet(decode_arch_def(BLOCKS), **sizes, drop_rate=0.2, drop_path_rate=0.3)


CASES = [
    Case(
        "ViT with features, attention and paths dropped",
        lambda: vit(drop_rate=0.1, proj_drop_rate=0.2, attn_drop_rate=0.3, drop_path_rate=0.4),
        (normal(3, 3, 8, 8),),
    ),
    Case("ViT with features dropped, in its fused kernel", lambda: vit(proj_drop_rate=0.2), (normal(3, 3, 8, 8),)),
    Case(
        "ResNet with features and paths dropped beside BatchNorm",
        lambda: resnet(drop_rate=0.3, drop_path_rate=0.3),
        IMAGES,
    ),
    Case(
        "ResNet with DropBlock, scaled by the batch",
        lambda: resnet(drop_block_rate=0.3),
        IMAGES,
        batch_dim=None,
        execution="vectorised, inputs repeated",
    ),
    Case(
        "EfficientNet with paths dropped",
        efficientnet,
        IMAGES,
        off=r"norm_act.py:\d+ \(BatchNormAct2d.forward\): in training mode buffers",
    ),
    Case(
        "ConvNeXt",
        lambda: ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 8, 8, 8), num_classes=3, drop_rate=0.2, drop_path_rate=0.4),
        (normal(3, 3, 32, 32),),
    ),
    Case("Swin, whose windows are not rows", swin, (normal(3, 3, 8, 8),)),
]
