"""Train the bundled network: SqueezeNet 1.1 on generated scenes, with npgrad's backward passes, from one seed.

    python scripts/train_scenes.py -o scenes.h5 --checkpoint scenes.ckpt
    python scripts/train_scenes.py --quick                 a few minutes at 96 px, to try it out

After Ctrl-C or a power cut, the same command continues from the checkpoint and ends with bit-identical weights, on the
same machine with the same versions and settings. Most steps use small images, for which a step is cheap, of several
sizes, since a network trained on a single size does not generalize to others. The last steps use 224 px, the size at
inference.
"""

import argparse
import dataclasses
import functools
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # `batch_gradients` uses threads of its own

import numpy as np

from npgrad import training
from npgrad.images import Preprocessing
from npgrad.layers import Dropout, Sequential
from npgrad.models import squeezenet1_1
from npgrad.optim import Adam, cosine
from npgrad.scenes import CLASSES, scene

TRAINING_SEED, VALIDATION_SEED = 1, 2
# (steps, sizes in px used in turn, scenes per batch)
STAGES = ((3600, (96, 96, 128), 64), (1200, (128, 160, 192), 48), (2800, (224,), 32))
QUICK = ((500, (96,), 64),)
RESTART = 5200  # the step at which the learning rate restarts, to learn 224 px thoroughly
PARTS = 4  # of a batch, so small that their activations stay in the cache


def stage(t, stages=STAGES):
    """(size, scenes per batch, index of the first scene) of step t."""
    first = begin = 0
    for steps, sizes, n in stages:
        if t < begin + steps:
            return sizes[t % len(sizes)], n, first + (t - begin) * n
        first, begin = first + steps * n, begin + steps
    raise ValueError(f"step {t}: expected one below {begin}")


def rate(t):
    """Adam's learning rate at step t: a cosine with one warm restart (Loshchilov, Hutter 2017)."""
    return FIRST(t) if t < RESTART else SECOND(t - RESTART)


FIRST, SECOND = cosine(1e-3, 6000, warmup=300), cosine(4e-4, 7600 - RESTART, warmup=50)


def labeled(indices, seed, size):
    """Scenes as a batch: (x (N, 3, size, size), target (N,))."""
    images, labels, _ = zip(*(scene(int(i), seed, size) for i in indices), strict=True)
    return training.as_input(np.stack(images), Preprocessing()), np.array(labels)


def batch(t, stages=STAGES):
    """The batch of step t; no scene is in two batches."""
    size, n, first = stage(t, stages)
    return labeled(range(first, first + n), TRAINING_SEED, size)


def fresh_network(seed):
    """A He-initialized network, with a positive bias at conv10: a class whose final ReLU starts at 0 never recovers.

    No scene is seen twice, so the network cannot overfit, and dropout would only slow down the training.
    """
    model = squeezenet1_1(num_classes=len(CLASSES), rng=seed)
    model = model.with_parameters({"conv10.bias": np.full(len(CLASSES), 1.0, np.float32)})
    return dataclasses.replace(model, network=Sequential(model.network.layers | {"drop9": Dropout(0.0)}))


def validate(model, count=520, size=224):
    """Top-1 accuracy on held-out scenes."""
    chunks = np.array_split(np.arange(count), -(-count // 20))
    return training.accuracy(model, (labeled(chunk, VALIDATION_SEED, size) for chunk in chunks)).overall


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-o", "--output", default="scenes.h5", help="the finished weights (default scenes.h5)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="only the first N steps")
    parser.add_argument("--quick", action="store_true", help="train at 96 px for a few minutes only")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default 0)")
    parser.add_argument("--checkpoint", metavar="FILE", help="resume from this file, and write it")
    parser.add_argument(
        "--validate-every",
        type=int,
        default=1000,
        metavar="N",
        help="steps from one validation to the next (default 1000)",
    )
    args = parser.parse_args()

    from tqdm import tqdm

    stages, size = (QUICK, 96) if args.quick else (STAGES, 224)
    steps = args.steps or sum(steps for steps, _, _ in stages)
    schedule = cosine(1e-3, steps, warmup=steps // 20) if args.quick else rate
    optimizer = Adam(schedule, weight_decay=1e-4, decoupled=True)
    bar = tqdm(total=steps, unit="step", mininterval=10)
    smooth = {}

    def show(step, seen):
        for name, value in seen.items():
            smooth[name] = 0.95 * smooth.get(name, value) + 0.05 * value
        bar.update(step - bar.n)
        bar.set_postfix_str(
            f"loss {smooth['loss']:.3f}, accuracy {smooth['accuracy']:.1%}, {smooth['rate']:.0f} scenes/s",
            refresh=False,
        )

    def checked(model):
        found = validate(model, size=size)
        bar.write(f"step {bar.n + 1}: held-out accuracy at {size} px {found:.2%}", file=sys.stderr)
        return found

    with training.Ahead(functools.partial(batch, stages=stages), count=steps) as batches:
        result = training.train(
            fresh_network(args.seed), batches, steps, optimizer, parts=PARTS, rng=args.seed,
            validate=checked, validate_every=args.validate_every, callback=show, checkpoint=args.checkpoint,
        )  # fmt: skip
    bar.close()
    if result.interrupted:
        print(
            f"interrupted at step {result.steps}; the same command continues from the checkpoint",
            file=sys.stderr,
        )
        return 130
    return finish(result, args.output)


def finish(result, output):
    """Rescale the activations to the common scale, name the classes, and save in half precision."""
    x, _ = labeled(range(16), VALIDATION_SEED, 224)
    trained = training.rescaled(result.model, x).parameters()
    half = {name: array.astype(np.float16) for name, array in trained.items()}
    model = squeezenet1_1(num_classes=len(CLASSES)).with_parameters(half)
    source = {"made by": "scripts/train_scenes.py", "license": "that of npgrad"}
    seen = Preprocessing(resize=224, crop=224)  # a scene's border may hold part of the object
    dataclasses.replace(model, classes=CLASSES, preprocessing=seen, source=source).save(output)
    print(f"{output}: {result.steps} steps, held-out accuracy {result.validations[-1][1]:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
