"""Answers to the homework, written with nothing but the tape.

The keyword arguments that the homework's functions do not have make them wrong.
"""

import numpy as np
from PIL import Image

from npgrad import attribution
from npgrad.course import blur_image, deprocess, jitter, preprocess
from npgrad.course.style import feature_names
from npgrad.layers import ReLU
from npgrad.losses import gram_matrix_backward
from npgrad.optim import Adam

MEAN, STD = (np.reshape(v, (1, 3, 1, 1)) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def one_hot(scores, y):
    dy = np.zeros_like(scores)
    dy[np.arange(len(scores)), y] = 1
    return dy


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def gradient(X, y, model, rules=None, upstream=one_hot):
    tape = model.forward(X)
    return tape.backward(upstream(tape.output, y), rules=rules)["input"]


def compute_saliency_maps(X, y, model, upstream=one_hot, reduce=lambda g: np.abs(g).max(axis=1)):
    return reduce(gradient(X, y, model, upstream=upstream))


def guided(record, dy):
    return np.where((record.x > 0) & (dy > 0), dy, 0)


def guided_backprop(X, y, model, rule=guided):
    return np.moveaxis(gradient(X, y, model, {ReLU: rule}), 1, 3)


def grad_cam(
    X,
    y,
    model,
    layer="features.12",
    weigh=lambda dA: dA.mean(axis=(2, 3), keepdims=True),
    relu=lambda cam: np.maximum(cam, 0),
    how=Image.Resampling.BICUBIC,
    scale=lambda cam: (cam - cam.min()) / (cam.max() - cam.min()),
):
    tape = model.forward(X)
    dA = tape.backward(one_hot(tape.output, y), at=(layer,))[layer]
    cam = relu((weigh(dA) * tape[layer]).sum(axis=1)).astype(np.float32)
    if how is not None:
        size = (X.shape[3], X.shape[2])
        cam = np.stack([np.array(Image.fromarray(one).resize(size, how)) for one in cam])
    return scale(cam)


def guided_grad_cam(X, y, model):
    return grad_cam(X, y, model)[..., None] * guided_backprop(X, y, model)


def make_fooling_image(
    X, target_y, model, learning_rate=10, max_iter=100, sign=1, more=0, unit=True, new=True
):
    X_fooling, after = (X.copy() if new else X), 0
    for _ in range(max_iter):
        tape = model.forward(X_fooling)
        after += tape.output.argmax() == target_y
        if after > more:
            break
        g = tape.backward(one_hot(tape.output, target_y))["input"]
        X_fooling += sign * learning_rate * (g / np.linalg.norm(g) if unit else g)
    return X_fooling


def class_visualization_update_step(
    img, model, target_y, l2_reg, learning_rate, l2=2.0, sign=1, unit=True, upstream=one_hot
):
    g = gradient(img, [target_y], model, upstream=upstream) - l2 * l2_reg * img
    return img + sign * learning_rate * (g / np.linalg.norm(g) if unit else g)


def create_class_visualization(
    target_y, model, l2_reg=1e-3, learning_rate=25, num_iterations=100, blur_every=10, max_jitter=16,
    show_every=25, rng=None, sign=1, keep=True, clamp=True, shape=(1, 3, 64, 64), finish=deprocess,
):  # fmt: skip
    rng = np.random.default_rng(rng)
    img = rng.standard_normal(shape)
    for t in range(num_iterations):
        ox, oy = rng.integers(0, max_jitter + 1, size=2)
        img = jitter(img, ox, oy)
        step = class_visualization_update_step(img, model, target_y, l2_reg, learning_rate, sign=sign)
        img = jitter(step if keep else img, -ox, -oy)
        if clamp:
            img = np.clip(img, -MEAN / STD, (1 - MEAN) / STD)
        if t % blur_every == 0:
            img = blur_image(img, sigma=0.5)
        if t == 0 or t % show_every == 0:
            print(f"iteration {t}")
    return finish(img)


def content_loss(content_weight, content_current, content_original):
    return content_weight * np.sum((content_current - content_original) ** 2)


def gram_matrix(features, normalize=True):
    N, C, H, W = features.shape
    F = features.reshape(N, C, H * W)
    gram = np.matmul(F, np.transpose(F, (0, 2, 1)))
    return gram / (C * H * W) if normalize else gram


def style_loss(feats, style_layers, style_targets, style_weights):
    loss = 0.0
    for i in range(len(style_layers)):
        loss += style_weights[i] * np.sum((gram_matrix(feats[style_layers[i]]) - style_targets[i]) ** 2)
    return loss


def tv_loss(img, tv_weight):
    down, across = img[:, :, 1:] - img[:, :, :-1], img[:, :, :, 1:] - img[:, :, :, :-1]
    return tv_weight * (np.sum(down**2) + np.sum(across**2))


def tv_gradient(img):
    g = np.zeros_like(img)
    for axis in (2, 3):
        d = np.diff(img, axis=axis)
        first, last = [(0, 0)] * 4, [(0, 0)] * 4
        first[axis], last[axis] = (1, 0), (0, 1)
        g += 2 * (np.pad(d, first) - np.pad(d, last))
    return g


NAMES = ("conv1", "relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5")


def style_transfer(
    content_image, style_image, image_size, style_size, content_layer, content_weight, style_layers, style_weights,
    tv_weight, init_random=False, model=None, rng=None, steps=200, fresh_at=180, free_at=190, new=True,
    noise="random", with_tv=True, late=False, dtype=np.float64, look=False, sizes=True,
):  # fmt: skip
    """Written out as in the course, with the three gradients by hand."""
    content = preprocess(content_image, image_size).astype(dtype)
    original = extract_features(content, model)[content_layer]
    painted = extract_features(preprocess(style_image, style_size if sizes else image_size), model)
    targets = [gram_matrix(painted[i]) for i in style_layers]
    img = (
        getattr(np.random.default_rng(rng), noise)(size=content.shape).astype(dtype)
        if init_random
        else content
    )
    adam = Adam(3.0)
    for t in range(steps):
        if t < free_at:
            img = np.clip(img, -1.5, 1.5)
        tape = model.forward(img, upto="fire5")
        current = tape[NAMES[content_layer]]
        dy = {NAMES[content_layer]: 2 * content_weight * (current - original)}
        for i, target, weight in zip(style_layers, targets, style_weights, strict=True):
            feature = tape[NAMES[i]]
            dgram = 2 * weight * (gram_matrix(feature) - target)
            dy[NAMES[i]] = dy.get(NAMES[i], 0) + gram_matrix_backward(dgram, feature)
        g = tape.backward(dy)["input"] + tv_weight * tv_gradient(img) * with_tv
        if t == fresh_at and not late:
            adam = Adam(0.1) if new else adam
            adam.lr = 0.1
        img = adam.step(img, g)
        if t == fresh_at and late:
            adam = Adam(0.1)
        if look and t % 50 == 0:
            model(img)
    return deprocess(img)


def compute_attributions(method, X, y, model, **options):
    if method == "Saliency":
        return attribution.saliency(model, X, y, **options)
    if method == "IntegratedGradients":
        return attribution.integrated_gradients(model, X, y, **{"n_steps": 10, **options})
    if method == "GuidedBackprop":
        return attribution.guided_backprop(model, X, y, **options)
    if method == "GuidedGradCam":
        return attribution.guided_grad_cam(model, X, y, layer="fire9", **options)
    if method == "LayerGradCam":
        maps = attribution.grad_cam(model, X, y, layer="fire2", **options)
    elif method == "LayerActivation":
        maps = attribution.layer_activation(model, X, y, layer="fire2", **options).mean(axis=1)
    else:
        maps = attribution.layer_conductance(model, X, y, layer="fire2", **options).mean(axis=1)
    return attribution.resize_map(maps, X.shape[2:], "nearest")


def extract_features(x, model):
    tape = model.forward(x)
    return [tape[name] for name in feature_names(model)]
