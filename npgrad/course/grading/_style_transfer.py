"""The check of style transfer and feature inversion (Q2.4, Q2.5).

200 steps of Adam amplify the smallest difference, so the last image cannot be compared. But the network passed to the
function records its inputs, x_0, x_1, ... Each of them is right if it follows from those before it by the homework's
step with npgrad's gradient. So the first wrong step is found, and explained.
"""

import tempfile
from pathlib import Path

import numpy as np

from npgrad import losses
from npgrad.course import style
from npgrad.course.grading._answer import NotAnswered, Wrong
from npgrad.course.grading._cases import images, network, watched
from npgrad.course.grading._compare import variants
from npgrad.course.grading._fooling import OTHER_MODEL
from npgrad.course.images import deprocess, preprocess

STEPS, FRESH_AT, FREE_AT, LIMIT = 200, 180, 190, 1.5
RATE, LAST_RATE = 3.0, 0.1
EARLY = 12  # a mistake explains a wrong step if it gives this many of the first steps
SIDES = {"content_image": (48, 40), "style_image": (40, 56)}  # height and width of the arguments
SIZES = {"image_size": 36, "style_size": 32}
LAYERS = {"content_layer": 3, "style_layers": (1, 4, 6, 7)}
# With these weights, content, style and total variation have gradients of about the same size, so none can be missing.
WEIGHTS = {"content_weight": 5e-2, "style_weights": [1000.0, 500.0, 5.0, 1.0], "tv_weight": 5e-2}

# Common mistakes in the gradient and in Adam.
MISTAKES = {
    "content": {
        "no": "the gradient of the content loss is missing",
        "half": "the gradient of the content loss lacks its factor 2",
    },
    "style": {
        "no": "the gradient of the style loss is missing",
        "half": "the gradient of the style loss is half of the right one: F occurs twice in F F^T",
        "content": "the style targets are computed from the content image, expected from the style image",
        "raw": "the Gram matrices, or their gradient, are not divided by C*H*W",
        "first": "every style layer has the first weight, expected its own",
    },
    "tv": {
        "no": "the gradient of the total variation is missing",
        "half": "the gradient of the total variation lacks its factor 2",
    },
    "sign": {"up": "the step increases the loss, expected it to decrease"},
    "adam": {
        "descent": "found plain gradient descent, expected Adam",
        "uncorrected": "Adam has no bias correction, 1 - beta^t",
        "slow": f"the first learning rate is {LAST_RATE}, expected {RATE}",
        "1": f"the first learning rate is 1, expected {RATE}",
    },
}


def check_style_transfer(answer):
    """style_transfer(...), from the content image."""
    _check(answer, init_random=False)


def check_inversion(answer):
    """style_transfer(..., style_weights=zeros, init_random=True)."""
    _check(answer, init_random=True)


def _check(answer, init_random):
    expected = Trajectory(init_random, answer.draw)
    model, where = watched(expected.model), "feature inversion" if init_random else "style transfer"
    image = _run(answer, model, expected.weights, init_random, where)
    last = expected.follow(expected.inputs(model.seen))
    _check_image(image, last)


def _run(answer, model, weights, init_random, where):
    """The function's value. The images are passed as file names; if it does not accept these, as PIL images."""
    pil_images = {name: image(name, answer.draw) for name in SIDES}
    order = ("image_size", "style_size", "content_layer", "content_weight", "style_layers", "style_weights")
    settings = {**SIZES, **LAYERS, **weights}
    settings = {key: settings[key] for key in (*order, "tv_weight")}
    options = {"init_random": init_random, "model": model, "rng": np.random.default_rng(7)}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.png") for name in pil_images}
        for name, file in files.items():
            pil_images[name].save(file)
        try:
            return answer({**files, **settings}, options, where)
        except NotAnswered:
            raise
        except Wrong as wrong:
            model.seen.clear()
            try:
                return answer({**pil_images, **settings}, options, where)
            except Wrong:
                raise wrong from None


def image(name, draw=0):
    """The PIL image for the argument `name`."""
    return deprocess(images(1, *SIDES[name], seed=len(name), draw=draw))


class Trajectory:
    """The homework's steps for one run's images and weights: from any x to the next."""

    def __init__(self, init_random, draw=0):
        self.model, self.init_random = network("A", "float32", draw), init_random
        self.content = preprocess(image("content_image", draw), SIZES["image_size"])
        self.painting = preprocess(image("style_image", draw), SIZES["style_size"])
        self.weights = {**WEIGHTS, "style_weights": [0] * 4} if init_random else WEIGHTS
        self.content_layer = style.feature_name(self.model, LAYERS["content_layer"])
        layers = [style.feature_name(self.model, i) for i in LAYERS["style_layers"]]
        self.style_weights = dict(zip(layers, self.weights["style_weights"], strict=True))
        tapes = {"content": self.model.forward(self.content), "": self.model.forward(self.painting)}
        self.features = tapes["content"][self.content_layer]
        self.targets = {
            kind: {layer: losses.gram_matrix(tape[layer]) for layer in layers} for kind, tape in tapes.items()
        }

    def inputs(self, seen):
        """x_0, x_1, ... among the recorded inputs; Wrong if these cannot be the steps."""
        if not seen:
            raise Wrong(OTHER_MODEL)
        shapes = {x.shape for x in seen}
        for name, x in (("image_size", self.content), ("style_size", self.painting)):
            if x.shape not in shapes and not (self.init_random and name == "style_size"):
                found = " and ".join(map(str, sorted(shapes)))
                raise Wrong(f"with {name} {SIZES[name]} expected an image {x.shape}, found {found}")
        xs = []
        for x in (x for x in seen if x.shape == self.content.shape):
            if not np.array_equal(x, self.content) and not (xs and np.array_equal(x, xs[-1])):
                xs.append(x)
        # An input that is followed by its own clamped copy is not a separate step.
        xs = [x for i, x in enumerate(xs) if i + 1 == len(xs) or not np.array_equal(clamped(x), xs[i + 1])]
        if any(np.abs(x).max() > LIMIT + 1e-3 for x in xs[:FRESH_AT]):
            raise Wrong(f"not clamped: found values beyond [-{LIMIT}, {LIMIT}] before step {FREE_AT}")
        if len(xs) == STEPS - 1 and not self.init_random:
            raise Wrong(
                "the first input is not clamped, expected it to be clamped before the first step, too"
            )
        if len(xs) not in (STEPS, STEPS + 1):
            raise Wrong(f"found {len(xs)} different inputs of the network, expected {STEPS} steps")
        self._check_start(xs[0])
        return xs

    def _check_start(self, x):
        from_content = np.allclose(x, clamped(self.content), atol=1e-4)
        if not self.init_random:
            if not from_content:
                raise Wrong("expected to start with the content image, found another one: noise?")
            return
        if from_content:
            raise Wrong("init_random has no effect: it starts with the content image, expected noise")
        low, high, mean, spread = x.min(), x.max(), x.mean(), x.std()
        if low < 0 or high > 1 or abs(mean - 0.5) > 0.05 or abs(spread - 12**-0.5) > 0.03:
            raise Wrong(
                f"expected to start with uniform noise from 0 to 1, found noise from {low:.2g} to {high:.2g} "
                f"with mean {mean:.2g}: normal noise?"
            )

    def gradient(self, x, content="", style="", tv="", sign=""):
        """d (content loss + style loss + total variation) / d x; the options are mistakes."""
        tape = self.model.forward(x, upto="fire5")
        scale = {"no": 0, "half": 0.5}
        weight = self.weights["content_weight"] * scale.get(content, 1)
        dy = {self.content_layer: losses.content_loss(weight, tape[self.content_layer], self.features)[1]}
        targets = self.targets["content" if style == "content" else ""]
        for layer, w in self.style_weights.items():
            F, raw = tape[layer], style == "raw"
            w = next(iter(self.style_weights.values())) if style == "first" else w * scale.get(style, 1)
            size = F[0].size if raw else 1
            dG = 2 * w * (losses.gram_matrix(F) - targets[layer]) * size
            dy[layer] = dy.get(layer, 0) + losses.gram_matrix_backward(dG, F, normalize=not raw)
        dy["input"] = losses.tv_loss(x, self.weights["tv_weight"] * scale.get(tv, 1))[1]
        dx = tape.backward(dy)["input"]
        return -dx if sign == "up" else dx

    def follow(self, xs):
        """x_200; Wrong at the first x that does not follow from those before it."""
        adam = Adam(RATE)
        for t in range(STEPS):
            g = self.gradient(xs[t])
            if t == FRESH_AT:
                before, adam = adam, Adam(LAST_RATE)
            after = adam.step(xs[t], g)
            if t + 1 == len(xs):
                return after
            found = xs[t + 1]
            if t + 1 <= FREE_AT:  # at FREE_AT itself it may be clamped or not
                after, found = clamped(after), clamped(found)
            if differ(after, found):
                raise Wrong(self._why_not_fresh(before, xs, g) if t == FRESH_AT else self._why(xs, t))
            beyond = np.sum(np.abs(after) > LIMIT + 1e-3)
            if t + 1 > FREE_AT and beyond > 5 and np.abs(found).max() <= LIMIT:
                raise Wrong(f"still clamped at step {t + 1}, expected no clamping from step {FREE_AT} on")
        return xs[STEPS]

    def _why(self, xs, t):
        fresh = Adam(LAST_RATE).step(xs[t], self.gradient(xs[t]))
        if t and not differ(clamped(fresh), clamped(xs[t + 1])):
            return f"a new Adam with learning rate {LAST_RATE} starts at step {t}, expected at {FRESH_AT}"
        for texts, options in variants(MISTAKES, pairs=False):
            if self._explains(options, xs, min(max(EARLY, t + 2), len(xs) - 1)):
                return texts[0]
        return (
            f"step {t} is not Adam's step for the gradient of content loss, style loss and total variation: "
            "is one of these gradients wrong, or Adam?"
        )

    def _explains(self, options, xs, steps):
        options = dict(options)
        adam = Adam(RATE, options.pop("adam", ""))
        for t in range(steps):
            after = adam.step(xs[t], self.gradient(xs[t], **options))
            if differ(clamped(after), clamped(xs[t + 1])):
                return False
        return True

    def _why_not_fresh(self, adam, xs, g):
        """What happens at step 180 instead of a new Adam; `adam` is the old one."""
        for rate, text in ((RATE, "nothing changes"), (LAST_RATE, "the old Adam's moments are kept")):
            old = adam.copy()
            old.rate = rate
            if not differ(clamped(old.step(xs[FRESH_AT], g)), xs[FRESH_AT + 1]):
                late = Adam(LAST_RATE).step(xs[FRESH_AT + 1], self.gradient(xs[FRESH_AT + 1]))
                if rate == RATE and not differ(clamped(late), xs[FRESH_AT + 2]):
                    text = "the new Adam comes one step late, after the step"
                break
        else:
            text = "found another step"
        return f"at step {FRESH_AT} expected a new Adam with learning rate {LAST_RATE}: {text}"


class Adam:
    """Adam with optional mistakes. The one to use is in npgrad.optim."""

    def __init__(self, rate, mistake=""):
        self.rate, self.mistake = {"slow": LAST_RATE, "1": 1.0}.get(mistake, rate), mistake
        self.t, self.m, self.v = 0, 0.0, 0.0

    def copy(self):
        new = Adam(self.rate, self.mistake)
        new.t, new.m, new.v = self.t, self.m, self.v
        return new

    def step(self, x, g):
        if self.mistake == "descent":
            return x - self.rate * g
        self.t += 1
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g * g
        first, second = (1, 1) if self.mistake == "uncorrected" else (1 - 0.9**self.t, 1 - 0.999**self.t)
        return x - self.rate * self.m / first / (np.sqrt(self.v / second) + 1e-8)


def clamped(x):
    return np.clip(x, -LIMIT, LIMIT)


def differ(a, b):
    """Whether more than 2% of the values differ: where a gradient is almost 0, rounding decides Adam's direction."""
    return np.mean(np.abs(a - b) > 0.02) > 0.02


def _check_image(image, last):
    """Check that the returned image is the one after the last step."""
    values = np.asarray(image)
    if values.ndim == 4 and values.shape == last.shape and values.dtype.kind == "f":
        values = np.asarray(deprocess(values))
    if values.ndim != 3 or values.dtype != np.uint8:
        raise Wrong(f"expected an image (a PIL image or an array), found {type(image).__name__}")
    wanted = [np.asarray(deprocess(last, rescale)) for rescale in (True, False)]
    if values.shape != wanted[0].shape:
        height, width = wanted[0].shape[:2]
        raise Wrong(f"expected an image of {width} x {height} px, found an array of shape {values.shape}")
    if min(np.abs(values.astype(int) - each).mean() for each in wanted) > 8:
        raise Wrong("every step is right, but the returned image is not that of the last step")
