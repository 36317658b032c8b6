"""Q2.1 to Q2.5: the losses of style transfer (their values; `npgrad.losses` has the gradients), and style transfer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from npgrad import losses, synthesis
from npgrad._typing import Array, ImageLike, Rng
from npgrad._validate import is_whole
from npgrad.course.images import deprocess
from npgrad.errors import InputError
from npgrad.model import Model

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

# `features` of torchvision's SqueezeNet 1.1, 0 to 12, by the paper's names
FEATURES = (
    "conv1", "relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5", "pool5", "fire6", "fire7", "fire8", "fire9",
)  # fmt: skip


def content_loss(content_weight: float, content_current: Array, content_original: Array) -> Any:
    """Compute the content loss, content_weight * sum((content_current - content_original)^2) (Q2.1).

    Gatys, Ecker, Bethge 2016, equation 1, without its factor 1/2.

    Parameters
    ----------
    content_weight : float
        Weight of the loss.
    content_current, content_original : ndarray (1, C, H, W)
        Activations of one layer: of the generated image, and of the content image.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> float(content_loss(0.5, np.ones((1, 2, 3, 3)), np.zeros((1, 2, 3, 3))))
    9.0
    """
    return losses.content_loss(content_weight, content_current, content_original)[0]


def gram_matrix(features: Array, normalize: bool = True) -> Array:
    """Compute Gram matrices, G = F F^T / (C*H*W), with F the activation as a matrix (C, H*W) (Q2.2).

    Gatys, Ecker, Bethge 2016, equation 3; the division is the course's.

    Parameters
    ----------
    features : ndarray (N, C, H, W)
        Activations of a layer.
    normalize : bool, default True
        Divide by C*H*W.

    Returns
    -------
    ndarray (N, C, C)

    Examples
    --------
    >>> import numpy as np
    >>> gram_matrix(np.array([[[[1.0, 2.0]], [[0.0, 3.0]]]]), normalize=False)
    array([[[5., 6.],
            [6., 9.]]])
    """
    return losses.gram_matrix(features, normalize)


def style_loss(
    feats: Sequence[Array] | Mapping[Any, Array],
    style_layers: Sequence[Any],
    style_targets: Sequence[Array],
    style_weights: Sequence[float],
) -> Any:
    """Compute the style loss, the sum over i of style_weights[i] * sum((G_i - style_targets[i])^2) (Q2.2).

    G_i is the Gram matrix of feats[style_layers[i]] (Gatys, Ecker, Bethge 2016, equations 4 and 5, without the factors
    of equation 4).

    Parameters
    ----------
    feats : sequence or mapping of ndarray (1, C, H, W)
        Activations, as `extract_features` returns them.
    style_layers : sequence of int
        Indices into feats (keys, if it is a mapping).
    style_targets : sequence of ndarray (1, C, C)
        The Gram matrices of the style image at these layers.
    style_weights : sequence of float
        The weights of these layers.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the three sequences differ in length.
    """
    counts = [len(style_layers), len(style_targets), len(style_weights)]
    if len(set(counts)) > 1:
        raise InputError(f"style_loss: expected as many targets and weights as layers, found {counts}")
    value = 0.0
    for layer, target, weight in zip(style_layers, style_targets, style_weights, strict=True):
        value = value + losses.style_loss({layer: feats[layer]}, {layer: target}, {layer: weight})[0]
    return value


def tv_loss(img: Array, tv_weight: float) -> Any:
    """Compute the total variation, tv_weight * sum of squared differences of adjacent pixels (Q2.3).

    Parameters
    ----------
    img : ndarray (1, 3, H, W)
        The image. Differences are taken along height and along width.
    tv_weight : float
        Weight of the loss.

    Returns
    -------
    float
    """
    return losses.tv_loss(img, tv_weight)[0]


def extract_features(x: Array, model: Model) -> list[Array]:
    """Compute the activations of the 13 modules in ``features`` of torchvision's SqueezeNet 1.1 (Q2.4).

    Parameters
    ----------
    x : ndarray (N, 3, H, W)
        Preprocessed images.
    model : Model
        A SqueezeNet.

    Returns
    -------
    list of ndarray
        The activations of ``features[0]`` to ``features[12]``.

    Notes
    -----
    SqueezeNet 1.0 has its pooling layers in other places. For it, the entries have the names of 1.1's layers, and [5]
    and [8], which are pooling layers in 1.1, are the outputs of fire3 and fire5.
    """
    names = feature_names(model)
    tape = model.forward(x, upto=names[-1])
    return [tape[name] for name in names]


def style_transfer(
    content_image: ImageLike,
    style_image: ImageLike,
    image_size: int,
    style_size: int,
    content_layer: int | str,
    content_weight: float,
    style_layers: Sequence[int | str],
    style_weights: Sequence[float],
    tv_weight: float,
    init_random: bool = False,
    model: Model | None = None,
    rng: Rng = None,
) -> "PILImage":
    """Generate an image with the content of one image and the style of another (Q2.4).

    200 steps of Adam on the sum of content loss, style loss and total variation (Gatys, Ecker, Bethge 2016). With
    style weights 0 and `init_random` it is feature inversion (Q2.5; Mahendran, Vedaldi 2015).

    Parameters
    ----------
    content_image, style_image : path, PIL image or uint8 array
        The two images.
    image_size, style_size : int
        The shorter side, in pixels, of the generated image and of the style image.
    content_layer : int or str
        Index in `extract_features`, or name, of the layer of the content loss.
    content_weight : float
        Weight of the content loss.
    style_layers : sequence of int or str
        The layers of the style loss.
    style_weights : sequence of float
        Their weights.
    tv_weight : float
        Weight of the total variation.
    init_random : bool, default False
        Start with noise, uniform from 0 to 1, instead of the content image.
    model : Model or None
        The network. None: the bundled network.
    rng : numpy.random.Generator or int, default None
        The random generator, or its seed, for the noise. None: different noise each time.

    Returns
    -------
    PIL.Image.Image
        The last image, as `deprocess` returns it. `npgrad.synthesis.style_transfer` also returns the losses.
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


def feature_names(model: Model) -> list[str]:
    """List the layers that `extract_features` returns, by their names in a model.

    Parameters
    ----------
    model : Model
        A SqueezeNet.

    Returns
    -------
    list of str
        13 names. For a pooling layer that the model does not have, the name of the layer before it.
    """
    own = set(model.layer_names())
    return [
        before if name.startswith("pool") and name not in own else name
        for before, name in zip(("",) + FEATURES, FEATURES, strict=False)
    ]


def feature_name(model: Model, layer: int | str) -> str:
    """Return the name of a layer given by its index in `extract_features`.

    Parameters
    ----------
    model : Model
        A SqueezeNet.
    layer : int or str
        Index from 0 to 12. A name is returned unchanged.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(layer, str):
        return layer
    if not is_whole(layer) or not 0 <= layer < len(FEATURES):
        raise InputError(
            f"layer: expected a number from 0 to {len(FEATURES) - 1}, or a name, found {layer!r}"
        )
    return feature_names(model)[layer]
