"""The rows of the table of layers (layer_cases.py) for normalization, resizing and rearranged values."""

import torch
import torch.nn.functional as F
from case import Case, plain

from npgrad import layers

IMAGES = (3, 4, 3, 5)


def layer_norm(id, shape, normalized, bias=True, eps=1e-3):
    def make(rng):
        return layers.LayerNorm(
            rng.normal(size=normalized), rng.normal(size=normalized) if bias else None, eps
        )

    return Case(
        f"layer norm {id}",
        make,
        lambda x, p: F.layer_norm(x, normalized, p["weight"], p.get("bias"), eps),
        shape,
    )


def channel_norm(id, shape):
    """The channels of each pixel, as torchvision's LayerNorm2d: permuted, normalized and permuted back."""

    def function(x, p):
        last = torch.movedim(x, 1, -1)
        return torch.movedim(F.layer_norm(last, shape[1:2], p["weight"], p["bias"], 1e-6), -1, 1)

    return Case(
        f"layer norm of channels {id}",
        lambda rng: layers.LayerNorm(*rng.normal(size=(2, shape[1])), eps=1e-6, channels=True),
        function,
        shape,
    )


def group_norm(id, shape, groups, arrays=2, eps=1e-4):
    return Case(
        f"group norm {id}",
        lambda rng: layers.GroupNorm(groups, *rng.normal(size=(arrays, shape[1])), eps=eps),
        lambda x, p: F.group_norm(x, groups, p.get("weight"), p.get("bias"), eps),
        shape,
    )


def response(id, shape, size, **options):
    return plain(
        f"local response norm {id}",
        layers.LocalResponseNorm(size, **options),
        lambda x: F.local_response_norm(x, size, **options),
        shape,
    )


def upsample(id, shape, **options):
    names = {"scale": "scale_factor"}
    given = {names.get(name, name): value for name, value in options.items()}
    return plain(f"upsample {id}", layers.Upsample(**options), lambda x: F.interpolate(x, **given), shape)


NORMS = [
    layer_norm("of vectors", (3, 6), (6,)),
    layer_norm("of the last axis, without bias", (1, 2, 3, 5), (5,), bias=False),
    layer_norm("of the last two axes", (3, 2, 4, 3), (4, 3)),
    layer_norm("of whole images", IMAGES, IMAGES[1:]),
    channel_norm("of images", IMAGES),
    channel_norm("of vectors", (3, 5)),
    group_norm("in 2 groups", IMAGES, 2),
    group_norm("in 1 group, without bias", (1, 3, 2, 4), 1, arrays=1),
    group_norm("of instances", IMAGES, 4),
    group_norm("without parameters", (3, 6, 2, 2), 3, arrays=0),
    group_norm("of vectors", (3, 6), 2),
    plain("instance norm", layers.GroupNorm(4), F.instance_norm, IMAGES),
    response("of 5", (3, 7, 2, 3), 5, alpha=0.3),
    response("of 3, other options", (1, 4, 3, 2), 3, alpha=2.0, beta=0.5, k=2.0),
    response("of more than there are", (3, 3, 2, 2), 9, alpha=1.0),
    response("of itself", (1, 3, 2, 2), 1, alpha=0.7),
]

UPSAMPLED = [
    upsample("nearest, twice", (3, 2, 3, 4), scale=2),
    upsample("nearest, other sides", (1, 2, 3, 4), scale=(3.0, 1.5)),
    upsample("nearest to a size", (3, 2, 4, 5), size=(7, 3)),
    upsample("bilinear, twice", (3, 2, 3, 4), scale=2, mode="bilinear"),
    upsample("bilinear, 2.5 and 1.7", (1, 2, 5, 4), scale=(2.5, 1.7), mode="bilinear"),
    upsample("bilinear to a size", (3, 2, 4, 5), size=(9, 3), mode="bilinear"),
    upsample("bilinear, corners stay", (3, 2, 3, 4), size=(6, 5), mode="bilinear", align_corners=True),
    upsample("bilinear, corners stay, twice", (1, 2, 3, 1), scale=2, mode="bilinear", align_corners=True),
    upsample("bilinear to one pixel", (1, 2, 3, 4), size=1, mode="bilinear", align_corners=True),
    upsample("of one pixel", (1, 3, 1, 1), scale=3, mode="bilinear"),
]

REARRANGED = [
    plain("permute", layers.Permute((0, 2, 3, 1)), lambda x: x.permute(0, 2, 3, 1), IMAGES),
    plain("permute 5 axes", layers.Permute((0, 2, 1, 4, 3)), lambda x: x.permute(0, 2, 1, 4, 3), (1, 2, 3, 2, 4)),
    plain("reshape", layers.Reshape((2, -1, 5)), lambda x: x.reshape(len(x), 2, -1, 5), IMAGES),
    plain("reshape vectors", layers.Reshape((2, 3, 1)), lambda x: x.reshape(len(x), 2, 3, 1), (1, 6)),
    plain("slice channels", layers.Slice(1, 1, 3), lambda x: x[:, 1:3], IMAGES),
    plain("slice every second column", layers.Slice(3, 1, step=2), lambda x: x[..., 1::2], IMAGES),
    plain("slice the last rows", layers.Slice(2, -2), lambda x: x[:, :, -2:], (1, 2, 3, 4)),
    plain("slice backward", layers.Slice(1, step=-1), lambda x: x.flip(1), (3, 3, 2, 2)),
    plain("channel shuffle", layers.ChannelShuffle(2), lambda x: F.channel_shuffle(x, 2), (3, 6, 2, 3)),
    plain("channel shuffle of 3", layers.ChannelShuffle(3), lambda x: F.channel_shuffle(x, 3), (1, 6, 2, 2)),
    plain("squeeze", layers.Squeeze(), lambda x: x.squeeze((2, 3)), (3, 4, 1, 1)),
    plain("squeeze rows", layers.Squeeze((2,)), lambda x: x.squeeze(2), (1, 4, 1, 3)),
]  # fmt: skip
