"""Common wrong answers to the homework with the message that each must get; and answers that must be accepted."""

import functools

import homework_answers as own
import numpy as np
from PIL import Image

from npgrad import attribution, course, losses
from npgrad.rules import deconv


def variant(function, **options):
    """The function with options of the test's; its signature is the homework's."""

    @functools.wraps(function)
    def wrong(*arguments, **keywords):
        return function(*arguments, **{**keywords, **options})

    return wrong


def mixed_gram(features, normalize=True):
    C = features.shape[1]
    F = features.transpose(1, 0, 2, 3).reshape(C, -1)
    return F @ F.T / (features[0].size if normalize else 1)


def rolled(img, tv_weight):
    return tv_weight * sum(np.sum((np.roll(img, 1, axis) - img) ** 2) for axis in (2, 3))


def looped(img, tv_weight):
    loss = 0.0
    for i in range(img.shape[2] - 1):
        loss += np.sum((img[:, :, i + 1] - img[:, :, i]) ** 2)
    j = 0
    while j < img.shape[3] - 1:
        loss += np.sum((img[..., j + 1] - img[..., j]) ** 2)
        j += 1
    return tv_weight * loss


# The source of a lambda is not read, so only its time shows the loop.
slow = lambda img, w: w * sum(sum(float(v) ** 2 for v in np.diff(img, axis=a).flat) for a in (2, 3))  # noqa: E731


def in_place(img, model, target_y, l2_reg, learning_rate):
    img += own.class_visualization_update_step(img, model, target_y, l2_reg, learning_rate) - img


def changes_x(X, y, model):
    maps = own.compute_saliency_maps(X, y, model)
    X -= X.mean()
    return maps


def mixes_the_batch(X, y, model):
    scores = own.compute_saliency_maps(X, y, model)
    return scores - scores.mean(axis=0) if len(X) > 1 else scores


def raises(X, y, model):
    scores = model(X)
    return scores[:, :, 0]


def prints(content_weight, content_current, content_original):
    print(own.content_loss(content_weight, content_current, content_original))


def early_return(feats, style_layers, style_targets, style_weights):
    loss = 0.0
    for i, layer in enumerate(style_layers):
        loss += style_weights[i] * np.sum((own.gram_matrix(feats[layer]) - style_targets[i]) ** 2)
        return loss
    return loss


def crossed(scores, y):
    dy = np.zeros_like(scores)
    dy[:, y] = 1
    return dy


def probability(scores, y):
    p = own.softmax(scores)
    return p[np.arange(len(p)), y][:, None] * (own.one_hot(scores, y) - p)


def forever(X, target_y, model, learning_rate=10, max_iter=100):
    return own.make_fooling_image(X, target_y, model, learning_rate, 100)


SALIENCY, FOOL, STEP = own.compute_saliency_maps, own.make_fooling_image, own.class_visualization_update_step
CREATE, STYLE = own.create_class_visualization, own.style_transfer
by = functools.partial(variant, SALIENCY)
cam = functools.partial(variant, own.grad_cam)
a = course.compute_attributions

# fmt: off
# {question and function: [(a wrong function, a regular expression for the message)]}
WRONG = {
    "Q1.1": [
        (by(reduce=lambda g: g.max(axis=1)), "no absolute value.*signed"),
        (by(reduce=lambda g: np.abs(g).mean(axis=1)), "the mean over channels, expected the maximum"),
        (by(reduce=lambda g: np.abs(g).sum(axis=1)), "the sum over channels, expected the maximum"),
        (by(reduce=np.abs), r"all channels, \(N, 3, H, W\), expected their maximum"),
        (by(reduce=lambda g: np.abs(g).max(axis=1).tolist()), "expected an array of shape .*found list"),
        (by(reduce=lambda g: (99 * np.abs(g).max(axis=1)).astype(int)), "expected floats, found int64"),
        (by(reduce=lambda g: np.abs(g).max(axis=1) / 0), "NaN or Inf"),
        (by(upstream=probability), "gradient of the softmax probability, expected that of the raw score"),
        (by(upstream=lambda s, y: losses.cross_entropy(s, y)[1]), "mean cross-entropy loss"),
        (by(upstream=lambda s, y: own.softmax(s) - own.one_hot(s, y)), "cross-entropy loss.*softmax"),
        (by(upstream=lambda s, y: own.one_hot(s, s.argmax(axis=1))), "the network predicts, expected.* in y"),
        (by(upstream=lambda s, y: own.one_hot(s, y) / len(s)), "mean over the batch, divided by N"),
        (by(upstream=crossed), "the classes of all images in y"),
        (by(upstream=lambda s, y: np.ones_like(s)), "sum of all classes' scores"),
        (by(upstream=probability, reduce=lambda g: np.abs(g).mean(axis=1)),
         "softmax probability.*; found the mean over channels"),
        (mixes_the_batch, "right for a single image, wrong for a batch: .*only on its own image"),
        (changes_x, r"modified the argument X: work on a copy \(3 images of 72 x 56 px"),
        (raises, "raised IndexError: too many indices .*in line 3 of the function"),
        (lambda X, model: X, r"takes \(X, model\), expected \(X, y, model\)"),
        (lambda X, y, model: None, "returned None; is there a return"),
        (5, "expected a function, found int"),
    ],
    "Q1.2 guided_backprop": [
        (lambda X, y, m: own.gradient(X, y, m).transpose(0, 2, 3, 1), "the plain gradient"),
        (variant(own.guided_backprop, rule=deconv), "deconvnet's rule"),
        (lambda X, y, m: abs(own.guided_backprop(X, y, m)), "absolute values, expected signed"),
        (lambda X, y, m: attribution.guided_backprop(m, X, y), r"\(N, 3, H, W\), expected \(N, H, W, 3\)"),
    ],
    "Q1.2 grad_cam": [
        (cam(relu=lambda c: c), "no ReLU: negative evidence"),
        (cam(weigh=lambda dA: dA.max(axis=(2, 3), keepdims=True)), "weight is the maximum of its grad"),
        (cam(weigh=lambda dA: dA), "multiplied by the gradient elementwise"),
        (cam(layer="fire8"), r"found the map at fire8, expected at features\[12\]"),
        (cam(how=None), "not resized"),
        (cam(how=Image.Resampling.NEAREST), "nearest neighbor, expected bicubic"),
        (cam(how=Image.Resampling.BILINEAR), "bilinearly, expected bicubic"),
        (cam(scale=lambda c: c), "not scaled to 0..1"),
        (cam(scale=lambda c: np.stack([(m - m.min()) / np.ptp(m) for m in c])),
         "scaled to 0..1 separately, expected the whole batch"),
    ],
    "Q1.2 guided_grad_cam": [
        (lambda X, y, m: own.grad_cam(X, y, m)[..., None] + own.guided_backprop(X, y, m),
         "the sum of guided backprop and Grad-CAM, expected their product"),
    ],
    "Q1.3a": [
        (lambda method, *args, **options: a(method, *args, **options) / (2 if method == "Saliency" else 1),
         "Saliency: found 0.5 times the right values"),
        (lambda method, *args, **options: a(method, *args, **{"n_steps": 50} if "Int" in method else options),
         "IntegratedGradients: found 50 steps, expected n_steps = 10"),
        (lambda method, *args, **options: a(method, *args), "IntegratedGradients: .*n_steps=5 has no effect"),
        (lambda method, *args, **o: a(method, *args, **o, **{"layer": "fire9"} if method == "LayerGradCam" else {}),
         r"LayerGradCam: found the attribution of fire9, expected that of features\[3\]"),
    ],
    "Q1.3b": [
        (variant(FOOL, new=False), "modified the argument X"),
        (variant(FOOL, sign=-1), "the step decreases the score, expected it to increase; so the top class is"),
        (variant(FOOL, more=1), "continues after the network is fooled.*the one a step later"),
        (variant(FOOL, more=5), "continues after the network is fooled.*found a later one"),
        (forever, "max_iter has no effect: found more than 3 steps"),
        (lambda X, target_y, model, learning_rate=10, max_iter=100: X.copy(), "did not change at all"),
    ],
    "Q1.4 class_visualization_update_step": [
        (variant(STEP, l2=-2.0), "L2 term has the wrong sign"),
        (variant(STEP, l2=1.0), r"expected 2 \* l2_reg \* I"),
        (variant(STEP, l2=0.0), "L2 term is missing"),
        (variant(STEP, l2=-2.0, unit=False), "L2 term has the wrong sign"),
        (variant(STEP, sign=-1), "goes down, expected up"),
        (variant(STEP, upstream=probability), "softmax probability"),
        (in_place, "returned None; it modified img in place: return the result"),
    ],
    "Q1.4 create_class_visualization": [
        (variant(CREATE, sign=-1), "noise up to .* does it go down"),
        (variant(CREATE, keep=False), "noise up to .* forget the result of the step before"),
        (variant(CREATE, clamp=False), "not clamped"),
        (variant(CREATE, num_iterations=3), "num_iterations has no effect"),
        (variant(CREATE, finish=lambda x: x[0]), "expected an image"),
    ],
    "Q2.1": [
        (lambda w, a, b: w * np.mean((a - b) ** 2), "the mean of the squared differences, expected their sum"),
        (lambda w, a, b: np.sum((a - b) ** 2), "the weight is missing"),
        (lambda w, a, b: w * np.sum((a - b) ** 2) / 2, "factor 1/2"),
        (lambda w, a, b: w * np.abs(a - b).sum(), "absolute differences, expected that of squared"),
        (lambda w, a, b: losses.content_loss(w, a, b), "expected one number, found a tuple of 2"),
        (lambda w, a, b: w * np.sum((a - b) ** 2, axis=(2, 3)), r"expected one number, found .*\(1, 5\)"),
        (prints, "returned None; it prints its result: return it"),
    ],
    "Q2.2 gram_matrix": [
        (lambda f, normalize=True: own.gram_matrix(f, False), r"not normalized: .*C\*H\*W"),
        (lambda f, normalize=True: own.gram_matrix(f, True), "normalize=False has no effect"),
        (lambda f, normalize=True: own.gram_matrix(f) * f.shape[1], r"divided by only H\*W"),
        (mixed_gram, "the images of a batch are mixed"),
    ],
    "Q2.2 style_loss": [
        (lambda f, layers, *rest: own.style_loss(f, range(len(layers)), *rest), "the first features are used"),
        (lambda *args: own.style_loss(*args[:3], [1] * 9), "style_weights are missing"),
        (lambda f, *rest: own.style_loss(f, *rest) / 25, "the mean of the squared differences"),
        (early_return, "only the first style layer counts"),
    ],
    "Q2.3": [
        (rolled, "it wraps around"),
        (lambda img, w: w * np.sum(np.diff(img, axis=2) ** 2), "only the vertical differences"),
        (lambda img, w: w * sum(np.sum(np.abs(np.diff(img, axis=a))) for a in (2, 3)), "absolute differences"),
        (lambda img, w: w * sum(np.mean(np.diff(img, axis=a) ** 2) for a in (2, 3)), "the mean of the squared"),
        (looped, "Python loop in line 3"),
        (slow, r"it takes .* s for 400 x 400 px.* is there a Python loop\?"),
    ],
    "Q2.4 extract_features": [
        (lambda x, model: [r.y for r in model.forward(x)], "expected 13 feature maps.*found"),
        (lambda x, model: course.extract_features(x, model)[::-1],
         r"expected at \[0\] the map of conv1, .*found that of fire9"),
    ],
    "Q2.4 style_transfer": [
        (variant(STYLE, with_tv=False), "gradient of the total variation is missing"),
        (variant(STYLE, free_at=0), r"not clamped: found values beyond \[-1.5, 1.5\]"),
        (variant(STYLE, free_at=200), "still clamped at step 191"),
        (variant(STYLE, fresh_at=999), "at step 180 expected a new Adam.*nothing changes"),
        (variant(STYLE, new=False), "at step 180 .*the old Adam's moments are kept"),
        (variant(STYLE, late=True), "at step 180 .*one step late"),
        (variant(STYLE, fresh_at=100), "starts at step 100, expected at 180"),
        (variant(STYLE, steps=100), "found 100 .*expected 200 steps"),
        (variant(STYLE, sizes=False), "with style_size 32 expected an image"),
    ],
    "Q2.5": [
        (variant(STYLE, init_random=False), "init_random has no effect"),
        (variant(STYLE, noise="standard_normal"), "uniform noise from 0 to 1, .*normal noise"),
    ],
}

# The same for answers that are accepted, with the remark that they get.
ACCEPTED = {
    "Q1.1": [
        (by(reduce=lambda g: np.abs(g).max(axis=1).astype(np.float32)), ""),
    ],
    "Q1.2 grad_cam": [
        (cam(weigh=lambda dA: dA.sum(axis=(2, 3), keepdims=True)), ""),
    ],
    "Q1.3b": [
        (variant(FOOL, unit=False), "the length of a step is not learning_rate"),
    ],
    "Q1.3b make_fool_image": [
        (FOOL, ""),
    ],
    "Q1.4 class_visualization_update_step": [
        (variant(STEP, unit=False), ""),
    ],
    "Q1.4 create_class_visualization": [
        (variant(CREATE, finish=lambda x: np.asarray(course.deprocess(x))), ""),
        (variant(CREATE, finish=lambda x: x), ""),
    ],
    "Q2.1": [
        (lambda *args: float(own.content_loss(*args)), ""),
    ],
    "Q2.3": [
        (lambda img, w: w * sum(np.sum(np.diff(img, axis=axis) ** 2) for axis in (2, 3)), ""),
    ],
    "Q2.4 extract_features": [
        (lambda x, model: tuple(course.extract_features(x, model)), ""),
    ],
    "Q2.4 style_transfer": [
        (lambda *args, **o: np.asarray(STYLE(*args, **o, dtype=np.float32, look=True)), ""),
    ],
}
