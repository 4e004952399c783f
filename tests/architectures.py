"""Networks of the kinds that classify images, small, with where their CAM cells must lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from monai.networks.nets import DenseNet, EfficientNetBN, SEResNet50, ViT, resnet18
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional

from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier

HEIGHT, WIDTH = 64, 96
CHANNELS_LAST = (0, 2, 3, 1)
CHANNELS_FIRST = (0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        values = self.norm(self.depthwise(maps).permute(*CHANNELS_LAST))
        values = self.narrow(functional.gelu(self.wide(values)))
        return maps + values.permute(*CHANNELS_FIRST)


class NormFirst(nn.Module):
    """Layer normalisation of maps, channels first, as written out by hand."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        centred = maps - maps.mean(1, keepdim=True)
        return self.weight * centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 8, 4, 4), NormFirst(8))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(ConvNeXtBlock(8), ConvNeXtBlock(8)),
                nn.Sequential(NormFirst(8), nn.Conv2d(8, 12, 2, 2), ConvNeXtBlock(12)),
            ]
        )
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        return self.head(self.norm(maps.mean(dim=(2, 3))))


class Attention(nn.Module):
    def __init__(self, channels: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.triple = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, channels = tokens.shape
        triple = self.triple(tokens).reshape(count, length, 3, self.heads, -1)
        query, key, value = triple.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(count, length, channels))


class TransformerBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = Attention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 32), nn.GELU(), nn.Linear(32, channels))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """Patches of 16 and a class token, and register tokens if asked, that alone feed the head."""

    def __init__(self, registers: int = 0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 16, 16, 16)
        self.special = nn.Parameter(torch.randn(1, 1 + registers, 16))
        self.places = nn.Parameter(torch.randn(1, 24, 16) * 0.1)
        self.blocks = nn.Sequential(*[TransformerBlock(16) for _ in range(3)])
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        tokens = torch.cat([self.special.expand(images.shape[0], -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 0])


class WindowBlock(nn.Module):
    """Attention within windows of four by four, shifted by two, channels last."""

    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.inner = TransformerBlock(channels)

    def forward(self, maps: Tensor) -> Tensor:
        count, rows, columns, channels = maps.shape
        maps = functional.pad(maps, (0, 0, 0, -columns % 4, 0, -rows % 4))
        maps = torch.roll(maps, (-self.shift, -self.shift), (1, 2))
        tall, wide = maps.shape[1:3]
        windows = maps.reshape(count, tall // 4, 4, wide // 4, 4, channels).transpose(2, 3)
        windows = self.inner(windows.reshape(-1, 16, channels))
        maps = windows.reshape(count, tall // 4, wide // 4, 4, 4, channels).transpose(2, 3)
        maps = maps.reshape(count, tall, wide, channels)
        return torch.roll(maps, (self.shift, self.shift), (1, 2))[:, :rows, :columns]


class Merge(nn.Module):
    """Four neighbours become one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4 * channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        parts = [maps[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        return self.linear(torch.cat(parts, dim=-1))


class Swin(nn.Module):
    """Its maps are (n, rows, columns, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 12, 4, 4)
        self.stages = nn.Sequential(
            nn.Sequential(WindowBlock(12, 0), WindowBlock(12, 2)),
            nn.Sequential(Merge(12), WindowBlock(12, 0), WindowBlock(12, 2)),
        )
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.stages(self.patches(images).permute(*CHANNELS_LAST)))
        return self.head(maps.mean(dim=(1, 2)))


def monai_vit() -> nn.Module:
    """As it comes: it gives its logits and the hidden states of all layers."""
    return ViT(
        2, (HEIGHT, WIDTH), 16, hidden_size=24, mlp_dim=48, num_layers=3, num_heads=3,
        classification=True, num_classes=2, spatial_dims=2,
    )  # fmt: skip


class MonaiViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.vit = monai_vit()

    def forward(self, images: Tensor) -> Tensor:
        return self.vit(images)[0]


class MonaiSwin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.swin = SwinTransformer(
            2, 6, (4, 4), (2, 2), depths=(2, 2, 2, 2), num_heads=(3, 3, 3, 3), spatial_dims=2
        )
        self.head = nn.Linear(96, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.swin(images)[-1].mean(dim=(2, 3)))


@dataclass(frozen=True)
class Architecture:
    """How to make a network; its CAM layer; its cell i lies on pixel stride · i + offset."""

    make: Callable[[], nn.Module]
    layer: str
    stride: int
    offset: float
    tokens: bool = False


ARCHITECTURES = {
    "ResNet": Architecture(
        # Its first convolution has stride 1.
        lambda: resnet18(spatial_dims=2, n_input_channels=2, num_classes=2), "layer4", 16, 0
    ),
    # Pairs averaged at strides 4, 8 and 16: 2 + 4 + 8.
    "DenseNet": Architecture(
        # As deep as it must be to have all of its kinds of layers: the 121 layers of the published
        # one take a minute to export.
        lambda: DenseNet(
            spatial_dims=2, in_channels=2, out_channels=2, init_features=16, growth_rate=8,
            block_config=(2, 3, 4, 2),
        ),
        "features", 32, 14,
    ),
    # Five times a stride of 2 with the odd pixel padded behind: 1 + 2 + 4 + 8 + 16.
    "EfficientNet": Architecture(
        lambda: EfficientNetBN(
            "efficientnet-b0", False, spatial_dims=2, in_channels=2, num_classes=2
        ),
        "_swish", 32, 31,
    ),
    # A pooling of three without padding at stride 2.
    "SEResNet": Architecture(
        lambda: SEResNet50(layers=(1, 2, 2, 1), spatial_dims=2, in_channels=2, num_classes=2),
        "layer4", 32, 2,
    ),
    # Patches of p pixels: p · i + (p − 1) / 2.
    "ConvNeXt": Architecture(ConvNeXt, "stages.1", 8, 3.5),
    "ViT": Architecture(VisionTransformer, "blocks.1", 16, 7.5, tokens=True),
    "ViT with registers": Architecture(lambda: VisionTransformer(4), "blocks.1", 16, 7.5, True),
    "Swin": Architecture(Swin, "norm", 8, 3.5, tokens=True),
    "MONAI ViT": Architecture(MonaiViT, "vit.blocks.1", 16, 7.5, tokens=True),
    "MONAI Swin": Architecture(MonaiSwin, "swin.layers4.0", 32, 15.5),
}  # fmt: skip


def make(name: str) -> nn.Module:
    """Return a network with random weights and the batch statistics of training."""
    torch.manual_seed(1)
    network = ARCHITECTURES[name].make().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return network


def classifier(network: nn.Module, layer: str | None = None, **settings: str) -> Classifier:
    card = ModelCard(
        weights="",
        labels=("left", "right"),
        input=InputCard(
            channels=("red", "green"), height=HEIGHT, width=WIDTH, mean=(0.5,), std=(0.3,)
        ),
        cam_layer=layer,
    )
    return Classifier(network, card, device="cpu", **settings)
