"""The check of fooling images (Q1.3b)."""

import numpy as np

from npgrad.course.grading._answer import NoExample, Wrong, in_case
from npgrad.course.grading._cases import images, network, watched
from npgrad.course.grading._compare import array, close, diagnosis
from npgrad.course.grading._gradients import KINDS, gradient

CLASS_KINDS = {key: KINDS[key] for key in ("softmax", "log softmax", "cross entropy", "predicted", "all")}
STEP = {
    "kind": CLASS_KINDS,
    "direction": {"down": "the step decreases the score, expected it to increase"},
    "length": {
        "none": "the gradient is not divided by its norm, so the length of a step is not learning_rate",
        "squared": "the gradient is divided by its squared norm, expected by its norm",
        "sign": "found a step along the gradient's sign, expected the gradient divided by its norm",
        "maximum": "the gradient is divided by its largest value, expected by its norm",
        "sum": "the gradient is divided by the sum of its absolute values, expected by its Euclidean norm",
        "unit": "learning_rate has no effect on the step",
    },
}
OTHER_MODEL = "the argument `model` was not called: is another network used instead?"


def fooling_step(X, target_y, model, learning_rate, kind="", direction="", length=""):
    """X + learning_rate * g / ||g||."""
    g = gradient(X, np.array([target_y]), model, kind)[1]
    return X + normalized_step(-g if direction == "down" else g, learning_rate, length)


def normalized_step(g, learning_rate, length=""):
    """learning_rate * g / ||g||."""
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


def check_make_fooling_image(answer):
    """make_fooling_image(X, target_y, model, learning_rate=10, max_iter=100)."""
    for name, dtype, target, rate in (
        ("A", "float64", 0, 0.3),
        ("B", "float32", 0, 0.1),
        ("C", "float64", 3, 10),
    ):
        model = network(name, dtype, answer.draw)
        X, target = _to_fool(model, target, rate, dtype, answer.draw)
        options = {} if rate == 10 else {"learning_rate": rate}
        where = f"class {target}, learning_rate {rate}, {dtype}, random network {name}"
        _check_image(answer, model, X, target, options, where)
    top = int(model(X).argmax())
    where = f"class {top}, which is already the top class, {dtype}, random network {name}"
    _check_image(answer, model, X, top, {}, where)
    _check_max_iter(answer, model, X, target)


def _to_fool(model, target, rate, dtype, draw):
    """An image and a class that is several steps away: in draw 0 `target`, else the second most likely one."""
    for seed in range(3, 53):
        X = images(1, 48, 40, seed=seed, dtype=dtype, draw=draw)
        if not draw:
            return X, target
        second = int(np.argsort(model(X)[0])[-2])
        if (1 if rate == 10 else 2) <= _steps(model, X, second, rate) <= 30:
            return X, second
    raise NoExample(f"draw {draw}: no image from which a class is in reach")


def _steps(model, x, target, rate):
    steps = 0
    while steps <= 30 and model(x).argmax() != target:
        x, steps = fooling_step(x, target, model, rate), steps + 1
    return steps


def _check_image(answer, model, X, target, options, where):
    """The target is the top class of the image, and of no earlier one."""
    model_seen = watched(model)
    found = answer({"X": X, "target_y": target, "model": model_seen}, options, where)
    found = array(found, X.shape, where)
    if found.shape != X.shape:
        raise Wrong(f"expected shape {X.shape}, found {found.shape}{in_case(where)}")
    if not model_seen.seen and not np.array_equal(found, X):
        raise Wrong(OTHER_MODEL)
    if model(found).argmax() != target:
        raise Wrong(_why_not(answer, model, X, target, found, options, where))
    seen = [x for x in model_seen.seen if x.shape == X.shape]
    first = next((x for x in seen if model(x).argmax() == target), found)
    if not close(found, first, 1e-5):
        later = "the one a step later" if close(found, _next(seen, first), 1e-5) else "a later one"
        raise Wrong(
            "it continues after the network is fooled: expected the first image whose top class is the target, "
            f"found {later}{in_case(where)}"
        )
    moved = [x for x in (*seen, found) if not np.array_equal(x, X)]
    length = np.linalg.norm(moved[0] - X) if moved else None
    if length is not None and not np.isclose(length, options.get("learning_rate", 10), rtol=1e-3):
        answer.notes = [
            "it fools the network, but the length of a step is not learning_rate: "
            "the gradient is not divided by its norm"
        ]


def _next(seen, image):
    """The next different input after `image`."""
    begin = next(i for i, x in enumerate(seen) if np.array_equal(x, image))
    return next((x for x in seen[begin:] if not np.array_equal(x, image)), None)


def _why_not(answer, model, X, target, found, options, where):
    """Why the network is not fooled, from the first step."""
    rate = options.get("learning_rate", 10)
    arguments = {"X": X, "target_y": target, "model": model}
    step = np.asarray(answer(arguments, {"learning_rate": rate, "max_iter": 1}))
    expected = fooling_step(**arguments, learning_rate=rate)
    top = f"the top class is {model(found).argmax()}, not the target {target}{in_case(where)}"
    if np.array_equal(found, X):
        return f"the image did not change at all, and {top}"
    if close(step, expected, 1e-4):
        return f"the first step is right, but at the end {top}: does each step start from the last image?"
    arguments["learning_rate"] = rate
    change, base = step - X, X
    why = diagnosis(change, expected - base, lambda **kw: fooling_step(**kw) - base, arguments, STEP, 1e-3)
    return f"{why}; so {top}"


def _check_max_iter(answer, model, X, target):
    model_seen, limit = watched(model), 3
    where = f"learning_rate 1e-6, max_iter {limit}"
    arguments = {"X": X, "target_y": target, "model": model_seen}
    answer(arguments, {"learning_rate": 1e-6, "max_iter": limit}, where)
    different = {x.tobytes() for x in model_seen.seen}
    if len(different) > limit + 1:
        raise Wrong(f"max_iter has no effect: found more than {limit} steps{in_case(where)}")
