"""Part 2: the losses of style transfer, their values alone, and style transfer."""

import numpy as np

from npgrad import losses, synthesis
from npgrad.course.images import deprocess
from npgrad.errors import InputError

# torchvision's SqueezeNet 1.1 `features`, 0 to 12, by the paper's names
FEATURES = (
    "conv1", "relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5", "pool5", "fire6", "fire7", "fire8", "fire9",
)  # fmt: skip


def content_loss(content_weight, content_current, content_original):
    """Q2.1: content_weight * sum of squared differences of two activations (1, C, H, W)."""
    return losses.content_loss(content_weight, content_current, content_original)[0]


def gram_matrix(features, normalize=True):
    """Q2.2: F F^T of features (N, C, H, W), divided by C*H*W if `normalize`: (N, C, C)."""
    return losses.gram_matrix(features, normalize)


def style_loss(feats, style_layers, style_targets, style_weights):
    """Q2.2: sum over i of style_weights[i] * sum (G - style_targets[i])^2, with G that of feats[style_layers[i]].

    feats: what `extract_features` gives, or any sequence or dict of activations. The three lists go together.
    """
    counts = [len(style_layers), len(style_targets), len(style_weights)]
    if len(set(counts)) > 1:
        raise InputError(f"style_loss: expected as many targets and weights as layers, found {counts}")
    value = 0.0
    for layer, target, weight in zip(style_layers, style_targets, style_weights, strict=True):
        value = value + losses.style_loss({layer: feats[layer]}, {layer: target}, {layer: weight})[0]
    return value


def tv_loss(img, tv_weight):
    """Q2.3: tv_weight * sum of squared differences of neighbors, down and across, of img (1, 3, H, W)."""
    return losses.tv_loss(img, tv_weight)[0]


def extract_features(x, model):
    """Q2.4: the 13 activations that `features` of torchvision's SqueezeNet 1.1 gives for x (N, 3, H, W): a list.

    1.0 pools at other places: there [5] and [8] hold what goes on to fire4 and fire6, the outputs of fire3 and fire5.
    """
    names = feature_names(model)
    tape = model.forward(x, upto=names[-1])
    return [tape[name] for name in names]


def style_transfer(
    content_image,
    style_image,
    image_size,
    style_size,
    content_layer,
    content_weight,
    style_layers,
    style_weights,
    tv_weight,
    init_random=False,
    model=None,
    rng=None,
):
    """Q2.4, and Q2.5 with zeros for style_weights and init_random: the image after 200 steps, from `deprocess`.

    content_image, style_image: paths or PIL images. image_size, style_size: the shorter sides in px. Layers are
    numbers in `extract_features`, or names. init_random: begin with noise, uniform 0 to 1, drawn by rng. model:
    None is the bundled network. Losses and images on the way: npgrad.synthesis.style_transfer.
    """
    if model is None:
        from npgrad.io.loading import load

        model = load()
    result = synthesis.style_transfer(
        model,
        content_image,
        style_image,
        image_size=image_size,
        style_size=style_size,
        content_layer=feature_name(model, content_layer),
        content_weight=content_weight,
        style_layers=[feature_name(model, layer) for layer in style_layers],
        style_weights=style_weights,
        tv_weight=tv_weight,
        start="noise" if init_random else "content",
        rng=rng,
    )
    return deprocess(result.image)


def feature_names(model):
    """The names of FEATURES in a model; for a pool that is not there, the layer before it."""
    own = set(model.layer_names())
    return [
        before if name.startswith("pool") and name not in own else name
        for before, name in zip(("",) + FEATURES, FEATURES, strict=False)
    ]


def feature_name(model, layer):
    """The layer's name for a number in `extract_features`; a name is its own."""
    if isinstance(layer, str):
        return layer
    if isinstance(layer, bool) or not isinstance(layer, (int, np.integer)) or not 0 <= layer < len(FEATURES):
        raise InputError(
            f"layer: expected a number from 0 to {len(FEATURES) - 1}, or a name, found {layer!r}"
        )
    return feature_names(model)[layer]
