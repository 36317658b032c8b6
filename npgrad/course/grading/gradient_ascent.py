"""Judges of fooling images (Q1.3b) and class visualization (Q1.4). How: see grading_maps."""

import inspect
from functools import partial

import numpy as np

from npgrad import losses
from npgrad.course.grading.calls import Wrong, array, close, diagnosis, in_case, named, tolerance
from npgrad.course.grading.cases import network, others, images, watched
from npgrad.course.grading.maps import KINDS, gradient
from npgrad.synthesis.fooling import image_limits

STEPS, CLIMB = 12, 2  # steps of a class visualization; how many times noise's score they have to reach
CLASS_KINDS = {key: KINDS[key] for key in ("softmax", "log softmax", "cross entropy", "predicted", "all")}
STEP = {
    "kind": CLASS_KINDS,
    "direction": {"down": "the step goes down the score, expected up"},
    "length": {
        "none": "the gradient is not divided by its norm, so a step is not learning_rate long",
        "squared": "the gradient is divided by the square of its norm, expected by the norm",
        "sign": "found a step along the gradient's sign, expected the gradient divided by its norm",
        "maximum": "the gradient is divided by its largest value, expected by its norm",
        "sum": "the gradient is divided by the sum of its absolute values, expected by its Euclidean norm",
        "unit": "learning_rate has no effect on the step",
    },
}


def fooling_step(X, target_y, model, learning_rate, kind="", direction="", length=""):
    """X + learning_rate * g / ||g||."""
    g = gradient(X, np.array([target_y]), model, kind)[1]
    return X + _step(-g if direction == "down" else g, learning_rate, length)


def _step(g, learning_rate, length):
    norm = np.linalg.norm(g)
    return {
        "": lambda: learning_rate * g / norm,
        "none": lambda: learning_rate * g,
        "squared": lambda: learning_rate * g / norm**2,
        "sign": lambda: learning_rate * np.sign(g),
        "maximum": lambda: learning_rate * g / np.abs(g).max(),
        "sum": lambda: learning_rate * g / np.abs(g).sum(),
        "unit": lambda: g / norm,
    }[length]()


def judge_make_fooling_image(answer):
    """make_fooling_image(X, target_y, model, learning_rate=10, max_iter=100)."""
    for name, dtype, target, rate in (
        ("A", "float64", 0, 0.3),
        ("B", "float32", 0, 0.1),
        ("C", "float64", 3, 10),
    ):
        model, X = network(name, dtype), images(1, 48, 40, seed=3, dtype=dtype)
        options = {} if rate == 10 else {"learning_rate": rate}
        where = f"class {target}, learning_rate {rate}, {dtype}, random network {name}"
        _fools(answer, model, X, target, options, where)
    top = int(model(X).argmax())
    _fools(
        answer,
        model,
        X,
        top,
        {},
        f"class {top}, which the network sees already, {dtype}, random network {name}",
    )
    _limited(answer, model, X, target)


def _fools(answer, model, X, target, options, where):
    """The image is taken for the target, and is the first on its way that is."""
    seen = watched(model)
    found = answer({"X": X, "target_y": target, "model": seen}, options, where)
    found = array(found, X.shape, where)
    if found.shape != X.shape:
        raise Wrong(f"expected shape {X.shape}, found {found.shape}{in_case(where)}")
    if not seen.seen and not np.array_equal(found, X):
        raise Wrong("the network handed in as `model` was not asked: is another one used in its place?")
    if model(found).argmax() != target:
        raise Wrong(_why_not(answer, model, X, target, found, options, where))
    way = [x for x in seen.seen if x.shape == X.shape]
    first = next((x for x in way if model(x).argmax() == target), found)
    if not close(found, first, 1e-5):
        later = "the one a step later" if close(found, _next(way, first), 1e-5) else "a later one"
        raise Wrong(
            "it goes on after the network is fooled: expected the first image that is seen as the target, "
            f"found {later}{in_case(where)}"
        )
    moved = [x for x in (*way, found) if not np.array_equal(x, X)]
    length = np.linalg.norm(moved[0] - X) if moved else None
    if length is not None and not np.isclose(length, options.get("learning_rate", 10), rtol=1e-3):
        note = "it fools, but a step is not learning_rate long: the gradient is not divided by its norm"
        answer.notes = [note]


def _next(way, image):
    """The image asked about after `image`."""
    begin = next(i for i, x in enumerate(way) if np.array_equal(x, image))
    return next((x for x in way[begin:] if not np.array_equal(x, image)), None)


def _why_not(answer, model, X, target, found, options, where):
    """Why the network is not fooled: what the first step does."""
    rate = options.get("learning_rate", 10)
    arguments = {"X": X, "target_y": target, "model": model}
    step = np.asarray(answer(arguments, {"learning_rate": rate, "max_iter": 1}))
    expected = fooling_step(**arguments, learning_rate=rate)
    says = f"the network sees class {model(found).argmax()}, not the target {target}{in_case(where)}"
    if np.array_equal(found, X):
        return f"the image did not change at all, and {says}"
    if close(step, expected, 1e-4):
        return (
            f"the first step is right, but in the end {says}: does each step begin at the last one's image?"
        )
    arguments["learning_rate"] = rate
    change, base = step - X, X
    why = diagnosis(change, expected - base, lambda **kw: fooling_step(**kw) - base, arguments, STEP, 1e-3)
    return f"{why}; so {says}"


def _limited(answer, model, X, target):
    """max_iter limits the steps."""
    seen, limit = watched(model), 3
    where = f"learning_rate 1e-6, max_iter {limit}"
    answer({"X": X, "target_y": target, "model": seen}, {"learning_rate": 1e-6, "max_iter": limit}, where)
    different = {x.tobytes() for x in seen.seen}
    if len(different) > limit + 1:
        raise Wrong(f"max_iter has no effect: more than {limit} steps were made{in_case(where)}")


UPDATE = {
    "kind": CLASS_KINDS,
    "direction": {"down": "the step goes down, expected up: the score is to grow"},
    "l2": {
        "sign": "the L2 term has the wrong sign: it is subtracted from the score, so its gradient is subtracted",
        "single": "the L2 term's gradient is l2_reg * I, expected 2 * l2_reg * I, as that of a square",
        "no": "the L2 term is missing from the gradient",
        "norm": "the L2 term's gradient is that of the norm, expected that of the norm's square",
        "late": "the L2 term is subtracted from the image, not from the gradient before it is normalized",
        "single sign": "the L2 term has the wrong sign, and its gradient no factor 2",
    },
    "length": {key: text for key, text in STEP["length"].items() if key != "none"},  # which is as good
}


def update_step(img, model, target_y, l2_reg, learning_rate, kind="", direction="", l2="", length=""):
    """img + learning_rate * g / ||g||, with g the gradient of s_y - l2_reg * ||img||^2."""
    g = gradient(img, np.array([target_y]), model, kind)[1]
    dl2 = losses.l2_loss(img, l2_reg)[1]
    penalty = {"sign": -dl2, "single": dl2 / 2, "no": 0 * dl2, "norm": l2_reg * img / np.linalg.norm(img)}
    penalty |= {"late": 0 * dl2, "single sign": -dl2 / 2}
    step = _step(g - penalty.get(l2, dl2), learning_rate, length)
    after = img - step if direction == "down" else img + step
    return after - learning_rate * dl2 if l2 == "late" else after


def judge_update_step(answer):
    """class_visualization_update_step(img, model, target_y, l2_reg, learning_rate), with and without the norm."""
    for name, dtype, share, rate in (
        ("A", "float64", 0.7, 5),
        ("B", "float32", 0.4, 25),
        ("B", "float64", 0, 2),
    ):
        model, img = network(name, dtype), images(1, 56, 48, seed=4, dtype=dtype)
        target = int(others(model, img)[0])
        g = gradient(img, np.array([target]), model)[1]
        l2_reg = float(share * np.linalg.norm(g) / np.linalg.norm(img) / 2)  # both parts count
        arguments = {"img": img, "model": model, "target_y": target, "l2_reg": l2_reg, "learning_rate": rate}
        where = f"class {target}, l2_reg {l2_reg:.3g}, learning_rate {rate}, {dtype}, random network {name}"
        found = array(answer(arguments, where=where), img.shape, where)
        if found.shape != img.shape:
            raise Wrong(f"expected shape {img.shape}, found {found.shape}{in_case(where)}")
        rtol = tolerance(found, arguments, coarsest=1e-7)
        twins = [partial(update_change, length=length) for length in ("", "none")]
        expected = [twin(**arguments) for twin in twins]
        if any(close(found - img, each, rtol) for each in expected):
            continue
        why = [named(found - img, twin, arguments, UPDATE, 10 * rtol) for twin in twins]
        why = next(filter(None, why), None) or diagnosis(
            found - img, expected[0], twins[0], arguments, {}, rtol
        )
        raise Wrong(why + in_case(where))


def update_change(img, **arguments):
    """By how much the image changes in a step."""
    return update_step(img, **arguments) - img


def judge_create(answer):
    """create_class_visualization(target_y, model, ...): what it makes is seen as the class more than noise is."""
    model = network("C", "float32")
    target, side = 3, 56 if "size" in _parameters(answer.function) else 224
    watch, where = watched(model), f"class {target}, {STEPS} steps, random network C"
    options = {"num_iterations": STEPS, "show_every": 10**6, "size": side}
    options["rng"] = np.random.default_rng(0)
    image = answer({"target_y": target, "model": watch}, options, where)
    x = as_input(image, model)
    if not watch.seen:
        raise Wrong("the network handed in as `model` was not asked: is another one used in its place?")
    different = {shown.tobytes() for shown in watch.seen}
    if len(different) < STEPS:
        raise Wrong(f"num_iterations has no effect: found {len(different)} steps{in_case(where)}")
    low, high = image_limits(model, x)
    later = [shown for shown in watch.seen[len(watch.seen) // 2 :] if shown.shape[1:2] == (3,)]
    if any((shown < low - 1e-3).any() or (shown > high + 1e-3).any() for shown in later):
        raise Wrong(
            "it is not clamped: after the first steps the image still has values that no image can hold"
        )
    scores = [score(model, noise(x.shape[2:], i), target) for i in range(4)]
    reached = score(model, x, target)
    if reached < CLIMB * max(scores):
        hint = "go down" if reached < min(scores) else "forget what the step before has made"
        raise Wrong(
            f"the class's score is {reached:.3g}, that of noise up to {max(scores):.3g}, expected at least "
            f"{CLIMB} times as much after {STEPS} steps: does it {hint}?"
        )


def as_input(image, model):
    """An image, PIL's or an array, as the network takes it: (1, 3, H, W)."""
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
    raise Wrong(f"expected an image (PIL's, or an array of it), found {kind}{shape}")


def noise(sides, seed):
    """Noise, as the image begins with, stretched as `deprocess` does it, as the network takes it."""
    from npgrad.course.images import deprocess, preprocess

    x = np.random.default_rng(seed).standard_normal((1, 3, *sides))
    return preprocess(deprocess(x), min(sides))


def score(model, x, target):
    return float(model(x.astype(np.float32))[0, target])


def _parameters(function):
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
