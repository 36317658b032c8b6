"""The judge of style transfer and feature inversion (Q2.4, Q2.5).

Two hundred steps of Adam blow up the smallest difference, so the image at the end says little. But the network that
is handed in keeps what it is shown: x_0, x_1, ... Each x is right if it follows from those before it by the homework's
step, with npgrad's gradient at them. So a wrong step is seen at once, and which one it is.
"""

import tempfile
from pathlib import Path

import numpy as np

from npgrad import losses
from npgrad.course import style
from npgrad.course.grading.calls import NotAnswered, Wrong, variants
from npgrad.course.grading.cases import network, images, watched
from npgrad.course.images import deprocess, preprocess

STEPS, FRESH_AT, FREE_AT, LIMIT = 200, 180, 190, 1.5
RATE, LAST_RATE = 3.0, 0.1
EARLY = 12  # so many steps must fit a fault that explains what is wrong
SIDES = {"content_image": (48, 40), "style_image": (40, 56)}  # height and width as they are handed in
SIZES = {"image_size": 36, "style_size": 32}
LAYERS = {"content_layer": 3, "style_layers": (1, 4, 6, 7)}
# With these content, style and total variation pull about as hard, so that each is missed.
WEIGHTS = {"content_weight": 5e-2, "style_weights": [1000.0, 500.0, 5.0, 1.0], "tv_weight": 5e-2}

# What may be wrong with the gradient, or with Adam.
FAULTS = {
    "content": {
        "no": "the gradient of the content loss is missing",
        "half": "the gradient of the content loss lacks its factor 2",
    },
    "style": {
        "no": "the gradient of the style loss is missing",
        "half": "the gradient of the style loss is half of what is right: F stands twice in F F^T",
        "content": "the style targets are made of the content image, expected of the style image",
        "raw": "the Gram matrices, or their gradient, are not divided by C*H*W",
        "first": "every style layer has the first weight, expected each its own",
    },
    "tv": {
        "no": "the gradient of the total variation is missing",
        "half": "the gradient of the total variation lacks its factor 2",
    },
    "sign": {"up": "the image goes up the loss, expected down"},
    "adam": {
        "descent": "found plain gradient descent, expected Adam",
        "uncorrected": "Adam's two means are not corrected by 1 - beta^t",
        "slow": f"the first learning rate is {LAST_RATE}, expected {RATE}",
        "1": f"the first learning rate is 1, expected {RATE}",
    },
}


def judge_style_transfer(answer):
    """style_transfer(...), from the content image."""
    _judge(answer, init_random=False)


def judge_inversion(answer):
    """style_transfer(..., style_weights=zeros, init_random=True)."""
    _judge(answer, init_random=True)


def _judge(answer, init_random):
    way = _Way(init_random)
    model, where = watched(way.model), "feature inversion" if init_random else "style transfer"
    image = _run(answer, model, way.weights, init_random, where)
    xs = way.begun(model.seen)
    last = way.follow(xs)
    _check_image(image, last)


def _run(answer, model, weights, init_random, where):
    """The function's value. The images are handed over as files; if it cannot take these, as PIL's."""
    images = {name: image(name) for name in SIDES}
    order = ("image_size", "style_size", "content_layer", "content_weight", "style_layers", "style_weights")
    settings = {**SIZES, **LAYERS, **weights}
    settings = {key: settings[key] for key in (*order, "tv_weight")}
    options = {"init_random": init_random, "model": model, "rng": np.random.default_rng(7)}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.png") for name in images}
        for name, file in files.items():
            images[name].save(file)
        try:
            return answer({**files, **settings}, options, where)
        except NotAnswered:
            raise
        except Wrong as wrong:
            model.seen.clear()
            try:
                return answer({**images, **settings}, options, where)
            except Wrong:
                raise wrong from None


def image(name):
    """The image handed in as `name`: PIL's."""
    return deprocess(images(1, *SIDES[name], seed=len(name)))


class _Way:
    """The way of one run: its images and weights, and what the homework's step makes of any x."""

    def __init__(self, init_random):
        self.model, self.init_random = network("A", "float32"), init_random
        self.content = preprocess(image("content_image"), SIZES["image_size"])
        self.painting = preprocess(image("style_image"), SIZES["style_size"])
        self.weights = {**WEIGHTS, "style_weights": [0] * 4} if init_random else WEIGHTS
        self.content_layer = style.feature_name(self.model, LAYERS["content_layer"])
        layers = [style.feature_name(self.model, i) for i in LAYERS["style_layers"]]
        self.style_weights = dict(zip(layers, self.weights["style_weights"], strict=True))
        tapes = {"content": self.model.forward(self.content), "": self.model.forward(self.painting)}
        self.features = tapes["content"][self.content_layer]
        self.targets = {
            kind: {layer: losses.gram_matrix(tape[layer]) for layer in layers} for kind, tape in tapes.items()
        }

    def begun(self, seen):
        """x_0, x_1, ... of what the network was shown; Wrong if these cannot be the steps."""
        if not seen:
            raise Wrong("the network handed in as `model` was not asked: is another one used in its place?")
        shapes = {x.shape for x in seen}
        for name, x in (("image_size", self.content), ("style_size", self.painting)):
            if x.shape not in shapes and not (self.init_random and name == "style_size"):
                found = " and ".join(map(str, sorted(shapes)))
                raise Wrong(f"with {name} {SIZES[name]} expected an image {x.shape}, found {found}")
        xs = []
        for x in (x for x in seen if x.shape == self.content.shape):
            if not np.array_equal(x, self.content) and not (xs and np.array_equal(x, xs[-1])):
                xs.append(x)
        # One that is clamped before it is shown again is none of the steps.
        xs = [x for i, x in enumerate(xs) if i + 1 == len(xs) or not np.array_equal(clamped(x), xs[i + 1])]
        if any(np.abs(x).max() > LIMIT + 1e-3 for x in xs[:FRESH_AT]):
            raise Wrong(f"not clamped: found values beyond [-{LIMIT}, {LIMIT}] before step {FREE_AT}")
        if len(xs) == STEPS - 1 and not self.init_random:
            raise Wrong(
                "the first image shown is not clamped, expected it clamped before the first step, too"
            )
        if len(xs) not in (STEPS, STEPS + 1):
            raise Wrong(f"found {len(xs)} different images shown to the network, expected {STEPS} steps")
        self._check_beginning(xs[0])
        return xs

    def _check_beginning(self, x):
        from_content = np.allclose(x, clamped(self.content), atol=1e-4)
        if not self.init_random:
            if not from_content:
                raise Wrong("expected to begin with the content image, found another one: noise?")
            return
        if from_content:
            raise Wrong("init_random has no effect: it begins with the content image, expected noise")
        low, high, mean, spread = x.min(), x.max(), x.mean(), x.std()
        if low < 0 or high > 1 or abs(mean - 0.5) > 0.05 or abs(spread - 12**-0.5) > 0.03:
            raise Wrong(
                f"expected to begin with uniform noise from 0 to 1, found noise from {low:.2g} to {high:.2g} "
                f"of mean {mean:.2g}: normal noise?"
            )

    def gradient(self, x, content="", style="", tv="", sign=""):
        """d (content loss + style loss + total variation) / d x; or what a fault makes of it."""
        tape = self.model.forward(x, upto="fire5")
        scale = {"no": 0, "half": 0.5}
        weight = self.weights["content_weight"] * scale.get(content, 1)
        seeds = {self.content_layer: losses.content_loss(weight, tape[self.content_layer], self.features)[1]}
        targets = self.targets["content" if style == "content" else ""]
        for layer, w in self.style_weights.items():
            F, raw = tape[layer], style == "raw"
            w = next(iter(self.style_weights.values())) if style == "first" else w * scale.get(style, 1)
            size = F[0].size if raw else 1
            dG = 2 * w * (losses.gram_matrix(F) - targets[layer]) * size
            seeds[layer] = seeds.get(layer, 0) + losses.gram_matrix_backward(dG, F, normalize=not raw)
        seeds["input"] = losses.tv_loss(x, self.weights["tv_weight"] * scale.get(tv, 1))[1]
        dx = tape.backward(seeds)["input"]
        return -dx if sign == "up" else dx

    def follow(self, xs):
        """Wrong at the first x that does not follow from those before it; x_200 otherwise."""
        adam = Adam(RATE)
        for t in range(STEPS):
            g = self.gradient(xs[t])
            if t == FRESH_AT:
                before, adam = adam, Adam(LAST_RATE)
            after = adam.step(xs[t], g)
            if t + 1 == len(xs):
                return after
            shown = xs[t + 1]
            if t + 1 <= FREE_AT:  # at FREE_AT itself it may be clamped or not
                after, shown = clamped(after), clamped(shown)
            if differ(after, shown):
                raise Wrong(self._why_not_fresh(before, xs, g) if t == FRESH_AT else self._why(xs, t))
            beyond = np.sum(np.abs(after) > LIMIT + 1e-3)
            if t + 1 > FREE_AT and beyond > 5 and np.abs(shown).max() <= LIMIT:
                raise Wrong(f"still clamped at step {t + 1}, expected to be free from step {FREE_AT} on")
        return xs[STEPS]

    def _why(self, xs, t):
        fresh = Adam(LAST_RATE).step(xs[t], self.gradient(xs[t]))
        if t and not differ(clamped(fresh), clamped(xs[t + 1])):
            return f"a fresh Adam with learning rate {LAST_RATE} begins at step {t}, expected at {FRESH_AT}"
        for texts, options in variants(FAULTS, pairs=False):
            if self._explains(options, xs, min(max(EARLY, t + 2), len(xs) - 1)):
                return texts[0]
        return (
            f"step {t} does not go where Adam takes the gradient of content loss, style loss and total "
            "variation: is one of these gradients wrong, or Adam?"
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
        """What happens at step 180 instead of a fresh Adam; `adam` is the old one."""
        for rate, text in ((RATE, "nothing changes"), (LAST_RATE, "the old Adam's means are kept")):
            old = adam.copy()
            old.rate = rate
            if not differ(clamped(old.step(xs[FRESH_AT], g)), xs[FRESH_AT + 1]):
                late = Adam(LAST_RATE).step(xs[FRESH_AT + 1], self.gradient(xs[FRESH_AT + 1]))
                if rate == RATE and not differ(clamped(late), xs[FRESH_AT + 2]):
                    text = "it comes one step late, after the step"
                break
        else:
            text = "found another step"
        return f"at step {FRESH_AT} expected a fresh Adam with learning rate {LAST_RATE}: {text}"


class Adam:
    """Adam, and what may be wrong with it. npgrad.optim has the one to use."""

    def __init__(self, rate, fault=""):
        self.rate, self.fault = {"slow": LAST_RATE, "1": 1.0}.get(fault, rate), fault
        self.t, self.m, self.v = 0, 0.0, 0.0

    def copy(self):
        new = Adam(self.rate, self.fault)
        new.t, new.m, new.v = self.t, self.m, self.v
        return new

    def step(self, x, g):
        if self.fault == "descent":
            return x - self.rate * g
        self.t += 1
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g * g
        first, second = (1, 1) if self.fault == "uncorrected" else (1 - 0.9**self.t, 1 - 0.999**self.t)
        return x - self.rate * self.m / first / (np.sqrt(self.v / second) + 1e-8)


def clamped(x):
    return np.clip(x, -LIMIT, LIMIT)


def differ(a, b):
    """Are more than 2 % of the values others? Where a gradient is almost 0, Adam may well go either way."""
    return np.mean(np.abs(a - b) > 0.02) > 0.02


def _check_image(image, last):
    """The value returned is the image after the last step."""
    values = np.asarray(image)
    if values.ndim == 4 and values.shape == last.shape and values.dtype.kind == "f":
        values = np.asarray(deprocess(values))
    if values.ndim != 3 or values.dtype != np.uint8:
        raise Wrong(f"expected an image (PIL's, or an array of it), found {type(image).__name__}")
    wanted = [np.asarray(deprocess(last, rescale)) for rescale in (True, False)]
    if values.shape != wanted[0].shape:
        height, width = wanted[0].shape[:2]
        raise Wrong(f"expected an image of {width} x {height} px, found an array of shape {values.shape}")
    if min(np.abs(values.astype(int) - each).mean() for each in wanted) > 8:
        raise Wrong("every step is right, but the image returned is not that of the last one")
