"""One step of style transfer in npgrad, and the same in a plain torch loop.

Forward up to the topmost layer that is needed; content, style and total variation losses; back to the pixels; Adam. The
settings are those of the homework's starry night.
"""

from functools import partial

from benchmarks.inputs import channels_last, images

CONTENT_LAYER, CONTENT_WEIGHT = "fire2", 6e-2
STYLE_WEIGHTS = {"relu1": 300000.0, "fire3": 1000.0, "fire4": 15.0, "fire5": 3.0}
TV_WEIGHT = 2e-2
RATE, LIMIT = 3.0, 1.5


def in_npgrad(it, side):
    """One step of style_transfer's loop, by its own functions."""
    from npgrad.synthesis._descent import advance, make_optimizer
    from npgrad.synthesis._run import Run
    from npgrad.synthesis._style_goal import LossWeights, goal_at, losses_and_gradient
    from npgrad.synthesis._style_images import Images, resized

    model, (content, style, start) = it.model, map(channels_last, images(3, side)[:, None])
    chosen = {
        "image_size": None,
        "style_size": None,
        "content_layer": CONTENT_LAYER,
        "content_weight": CONTENT_WEIGHT,
        "style_layers": tuple(STYLE_WEIGHTS),
        "style_weights": tuple(STYLE_WEIGHTS.values()),
        "tv_weight": TV_WEIGHT,
    }
    work = Images.of(model, content, style, None, None, None, chosen, None, None, False)
    goal = goal_at(model, work, 0, LossWeights.of(model, chosen, grow=False))
    objective, descent = partial(losses_and_gradient, model, goal), make_optimizer("adam", model, content)
    run = Run(start, 1_000_000, 0, descent)

    def step():
        x = resized(run.image, goal.content.shape[2:])
        advance(run, descent, objective, x, 1, 200)  # any step except those at which Adam restarts
        return {name: losses[-1] for name, losses in run.losses.items()}

    step()  # so that the first losses that are compared depend on the first gradient
    return step


def in_torch(it, side):
    import torch

    content, style, start = (it.in_order(torch.from_numpy(each)) for each in images(3, side)[:, None])
    fires = [i for i, module in enumerate(it.net.features) if hasattr(module, "squeeze")]
    layers = {1: "relu1", **{i: f"fire{k}" for k, i in enumerate(fires, start=2)}}
    top = next(i for i, layer in layers.items() if layer == "fire5")

    def features(x):
        seen = {}
        for i, module in enumerate(it.net.features[: top + 1]):
            x = module(x)
            if layers.get(i) in (CONTENT_LAYER, *STYLE_WEIGHTS):
                seen[layers[i]] = x
        return seen

    def gram(x):
        _, c, h, w = x.shape
        F = x.reshape(c, h * w)
        return F @ F.T / (c * h * w)

    with torch.no_grad():
        wanted = features(content)[CONTENT_LAYER]
        grams = {layer: gram(seen) for layer, seen in features(style).items() if layer in STYLE_WEIGHTS}
    image = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=RATE)

    def step():
        with torch.no_grad():
            image.clamp_(-LIMIT, LIMIT)
        optimizer.zero_grad()
        seen = features(image)
        losses = {
            "content": CONTENT_WEIGHT * (seen[CONTENT_LAYER] - wanted).square().sum(),
            "style": sum(w * (gram(seen[at]) - grams[at]).square().sum() for at, w in STYLE_WEIGHTS.items()),
            "tv": TV_WEIGHT * (image.diff(dim=2).square().sum() + image.diff(dim=3).square().sum()),
        }
        sum(losses.values()).backward()
        optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}

    step()
    return step
