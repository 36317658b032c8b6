"""The checks of class visualization (Q1.4)."""

from functools import partial

import numpy as np

from npgrad import losses
from npgrad.course.grading._answer import Wrong, in_case
from npgrad.course.grading._cases import images, network, others, watched
from npgrad.course.grading._compare import array, close, diagnosis, named, tolerance
from npgrad.course.grading._fooling import CLASS_KINDS, OTHER_MODEL, STEP, normalized_step
from npgrad.course.grading._gradients import gradient
from npgrad.course.images import deprocess, preprocess
from npgrad.synthesis.pixels import image_limits

STEPS = 12
GAIN = 2  # the score after STEPS steps, in units of the best score of noise, must be at least this
UPDATE = {
    "kind": CLASS_KINDS,
    "direction": {"down": "the step goes down, expected up: the score should increase"},
    "l2": {
        "sign": "the L2 term has the wrong sign: it is subtracted from the score, so its gradient is subtracted",
        "single": "the L2 term's gradient is l2_reg * I, expected 2 * l2_reg * I, as that of a square",
        "no": "the L2 term is missing from the gradient",
        "norm": "the L2 term's gradient is that of the norm, expected that of the squared norm",
        "late": "the L2 term is subtracted from the image, expected from the gradient before it is normalized",
        "single sign": "the L2 term has the wrong sign, and its gradient lacks the factor 2",
    },
    # a step without the norm is accepted, too
    "length": {key: text for key, text in STEP["length"].items() if key != "none"},
}


def update_step(img, model, target_y, l2_reg, learning_rate, kind="", direction="", l2="", length=""):
    """img + learning_rate * g / ||g||, with g the gradient of s_y - l2_reg * ||img||^2."""
    g = gradient(img, np.array([target_y]), model, kind)[1]
    dl2 = losses.l2_loss(img, l2_reg)[1]
    penalty = {"sign": -dl2, "single": dl2 / 2, "no": 0 * dl2, "norm": l2_reg * img / np.linalg.norm(img)}
    penalty |= {"late": 0 * dl2, "single sign": -dl2 / 2}
    step = normalized_step(g - penalty.get(l2, dl2), learning_rate, length)
    after = img - step if direction == "down" else img + step
    return after - learning_rate * dl2 if l2 == "late" else after


def update_change(img, **arguments):
    """The change of the image in one step."""
    return update_step(img, **arguments) - img


def check_update_step(answer):
    """class_visualization_update_step(img, model, target_y, l2_reg, learning_rate), with or without the norm."""
    for name, dtype, share, rate in (
        ("A", "float64", 0.7, 5),
        ("B", "float32", 0.4, 25),
        ("B", "float64", 0, 2),
    ):
        model = network(name, dtype, answer.draw)
        img = images(1, 56, 48, seed=4, dtype=dtype, draw=answer.draw)
        target = int(others(model, img)[0])
        g = gradient(img, np.array([target]), model)[1]
        # such that both parts of the gradient matter
        l2_reg = float(share * np.linalg.norm(g) / np.linalg.norm(img) / 2)
        arguments = {"img": img, "model": model, "target_y": target, "l2_reg": l2_reg, "learning_rate": rate}
        where = f"class {target}, l2_reg {l2_reg:.3g}, learning_rate {rate}, {dtype}, random network {name}"
        found = array(answer(arguments, where=where), img.shape, where)
        if found.shape != img.shape:
            raise Wrong(f"expected shape {img.shape}, found {found.shape}{in_case(where)}")
        rtol = tolerance(found, arguments, coarsest=1e-7)
        references = [partial(update_change, length=length) for length in ("", "none")]
        expected = [reference(**arguments) for reference in references]
        if any(close(found - img, each, rtol) for each in expected):
            continue
        why = [named(found - img, reference, arguments, UPDATE, 10 * rtol) for reference in references]
        why = next(filter(None, why), None) or diagnosis(
            found - img, expected[0], references[0], arguments, {}, rtol
        )
        raise Wrong(why + in_case(where))


def check_create_class_visualization(answer):
    """create_class_visualization(target_y, model, ...): its image has a higher score than noise."""
    model = network("C", "float32", answer.draw)
    target, side = 3, 56 if "size" in answer.parameters() else 224
    watch, where = watched(model), f"class {target}, {STEPS} steps, random network C"
    options = {"num_iterations": STEPS, "show_every": 10**6, "size": side}
    options["rng"] = np.random.default_rng(0)
    image = answer({"target_y": target, "model": watch}, options, where)
    x = _as_input(image, model)
    if not watch.seen:
        raise Wrong(OTHER_MODEL)
    different = {shown.tobytes() for shown in watch.seen}
    if len(different) < STEPS:
        raise Wrong(f"num_iterations has no effect: found {len(different)} steps{in_case(where)}")
    low, high = image_limits(model, x)
    later = [shown for shown in watch.seen[len(watch.seen) // 2 :] if shown.shape[1:2] == (3,)]
    if any((shown < low - 1e-3).any() or (shown > high + 1e-3).any() for shown in later):
        raise Wrong(
            "it is not clamped: after the first steps the image still has values that no image can have"
        )
    scores = [_score(model, _noise(x.shape[2:], i), target) for i in range(4)]
    reached = _score(model, x, target)
    if reached < GAIN * max(scores):
        hint = "go down" if reached < min(scores) else "forget the result of the step before"
        raise Wrong(
            f"the class's score is {reached:.3g}, that of noise up to {max(scores):.3g}, expected at least "
            f"{GAIN} times as much after {STEPS} steps: does it {hint}?"
        )


def _as_input(image, model):
    """An image, a PIL image or an array, as the network's input (1, 3, H, W)."""
    values = np.asarray(image)
    if values.ndim == 4 and values.shape[:2] == (1, 3) and values.dtype.kind == "f":
        return array(values, values.shape, "")
    if values.ndim == 3 and values.shape[2] == 3:
        if values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
            values = (255 * values).astype(np.uint8)
        if values.dtype == np.uint8:
            return model.preprocess(values, resize=False)
    kind = type(image).__name__
    shape = f" of shape {values.shape}, {values.dtype}" if values.ndim else ""
    raise Wrong(f"expected an image (a PIL image or an array), found {kind}{shape}")


def _noise(sides, seed):
    """The initial noise after `deprocess` has rescaled it, as the network's input."""
    x = np.random.default_rng(seed).standard_normal((1, 3, *sides))
    return preprocess(deprocess(x), min(sides))


def _score(model, x, target):
    return float(model(x.astype(np.float32))[0, target])
