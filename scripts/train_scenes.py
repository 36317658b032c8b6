"""Train the bundled network: SqueezeNet 1.1 on generated scenes, with npgrad's backward passes, from one seed.

    python scripts/train_scenes.py -o scenes.h5 --checkpoint scenes.ckpt
    python scripts/train_scenes.py --quick                 a few minutes at 96 px, to try it out

After Ctrl-C or a power cut, the same command continues from the checkpoints and ends with bit-identical weights, on the
same machine with the same versions and settings. In the first of six phases, the network learns to name scenes. In the
others, it learns to name attacked ones (Madry et al. 2018), which makes its gradients readable (Engstrom et al. 2019):
most scenes are changed by a step along the gradient of their loss, within a small ball, then within a larger one. In
the last one, it also learns to look at the object instead of the background (Ross et al. 2017). The weights are those
between its start and its end (Wortsman et al. 2022), which keeps more of the accuracy.

Most steps use small images, for which a step is cheap, of several sizes, since a network trained on a single size does
not generalize to others. The last steps use 224 px, the size at inference.
"""

import argparse
import dataclasses
import functools
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the parts of a batch have threads, see the end

import numpy as np

import npgrad
from npgrad import training
from npgrad.images import Preprocessing
from npgrad.layers import Dropout, Sequential
from npgrad.models import squeezenet1_1
from npgrad.optim import Adam, cosine
from npgrad.scenes import CLASSES, scene

TRAINING_SEED, VALIDATION_SEED = 1, 2
PARTS = 4  # of a batch, so small that their activations stay in the cache


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of the training with an optimizer and a checkpoint of its own.

    Attributes
    ----------
    name : str
    stages : tuple of (steps, sizes in px used in turn, scenes per batch)
    rate : callable
        Adam's learning rate by step.
    first : int
        The index of the first scene; no scene is in two batches.
    norm : {"linf", "l2"}
        Of the attack.
    radius : float
        Radius of the attack, for pixel values from 0 to 1, at 224 px. In smaller images, the same change of every
        pixel has a smaller L2 norm. 0: no attack.
    warmup : int
        The number of steps over which the radius rises to its full value.
    share : float
        The share of a batch that is attacked.
    outside : float
        Weight of the share of the gradient outside of the object, of the last eight scenes of a batch. 0: no penalty.
    kept : float
        How much of the phase's change of the weights is kept.
    """

    name: str
    stages: tuple
    rate: object
    first: int = 0
    norm: str = "linf"
    radius: float = 0.0
    warmup: int = 1
    share: float = 1.0
    outside: float = 0.0
    kept: float = 1.0

    @property
    def steps(self):
        return sum(steps for steps, _, _ in self.stages)

    def stage(self, t):
        """(size, scenes per batch, index of the first scene) of step t."""
        first, begin = self.first, 0
        for steps, sizes, n in self.stages:
            if t < begin + steps:
                return sizes[t % len(sizes)], n, first + (t - begin) * n
            first, begin = first + steps * n, begin + steps
        raise ValueError(f"step {t}: expected one below {begin}")

    def radius_at(self, t):
        """The attack's radius at step t."""
        scale = self.stage(t)[0] / 224 if self.norm == "l2" else 1.0
        return scale * training.ramp(self.radius, self.warmup)(t)

    def attack(self):
        return training.Attack(self.norm, self.radius_at, share=self.share) if self.radius else None

    def penalty(self):
        return training.RightReasons(self.outside, count=8) if self.outside else None


def restarted(t, at=5200):
    """A cosine with one warm restart (Loshchilov, Hutter 2017), to learn 224 px thoroughly."""
    return FIRST(t) if t < at else SECOND(t - at)


FIRST, SECOND = cosine(1e-3, 6000, warmup=300), cosine(4e-4, 7600 - 5200, warmup=50)
PHASES = (
    Phase("standard", ((3600, (96, 96, 128), 64), (1200, (128, 160, 192), 48), (2800, (224,), 32)), restarted),
    Phase(
        "weak", ((2000, (112, 128, 144), 48),),
        cosine(6e-4, 3400, warmup=100), first=377_600, norm="l2", radius=3.0, warmup=800, share=0.75,
    ),
    Phase(
        "strong", ((1500, (112, 128), 48),),
        cosine(8e-4, 1500, warmup=50), first=473_600, radius=8 / 255, warmup=300, share=0.75,
    ),
    Phase(
        "final", ((1000, (224,), 32),),
        cosine(5e-4, 1000, warmup=30), first=545_600, radius=6 / 255, share=0.4,
    ),
    Phase(
        "polish", ((400, (224,), 32),),
        cosine(2.5e-4, 400, warmup=10), first=577_600, radius=6 / 255, share=0.25,
    ),
    Phase(
        "reasons", ((260, (224,), 32),),
        cosine(2e-4, 260, warmup=10), first=590_400, radius=6 / 255, share=0.3, outside=5.0, kept=0.6,
    ),
)  # fmt: skip
QUICK = (
    Phase("quick-standard", ((500, (96,), 64),), cosine(1e-3, 500, warmup=25)),
    Phase(
        "quick-strong", ((100, (96,), 64),),
        cosine(3e-4, 100, warmup=5), first=32_000, radius=4 / 255, warmup=50, share=0.75,
    ),
)  # fmt: skip
BY_NAME = {phase.name: phase for phase in PHASES + QUICK}


def labeled(indices, seed, size, noise_rng=None):
    """Scenes as a batch: (x (N, 3, size, size), target (N,)), every third with noise and blur for a generator."""
    return masked(indices, seed, size, noise_rng)[:2]


def masked(indices, seed, size, noise_rng=None):
    """The same batch with the objects' masks (N, size, size)."""
    images, labels, masks = zip(*(scene(int(i), seed, size) for i in indices), strict=True)
    images = np.stack(images)
    if noise_rng is not None:
        images[::3] = training.augment(
            images[::3], noise_rng, flip=False, shift=0, light=0.0, noise=0.2, blur=size / 224
        )
    return training.as_input(images, Preprocessing()), np.array(labels), np.stack(masks)


def batch(t, name="standard"):
    """The batch of step t of the phase of this name."""
    phase = BY_NAME[name]
    size, n, first = phase.stage(t)
    noise_rng = np.random.default_rng([TRAINING_SEED, first]) if phase.radius else None
    made = masked if phase.outside else labeled
    return made(range(first, first + n), TRAINING_SEED, size, noise_rng)


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


def validate_attacked(model, radius, count=60, size=224):
    """Top-1 accuracy on held-out scenes after ten steps of an attack."""
    attack, right = training.Attack("l2", radius * size / 224, steps=10), 0
    for chunk in np.array_split(np.arange(count), -(-count // 20)):
        x, target = labeled(chunk, VALIDATION_SEED, size)
        right += (model(attack(model, x, target)).argmax(axis=1) == target).sum()
    return float(right / count)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-o", "--output", default="scenes.h5", help="the finished weights (default scenes.h5)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="only the first N steps of each phase")
    parser.add_argument("--quick", action="store_true", help="train at 96 px for a few minutes only")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default 0)")
    parser.add_argument(
        "--phases",
        nargs="+",
        metavar="NAME",
        help="only these phases (default: standard weak strong final polish reasons)",
    )
    parser.add_argument("--start", metavar="FILE", help="weights to start from instead of random ones")
    parser.add_argument(
        "--checkpoint", metavar="NAME", help="resume each phase from NAME.PHASE, and write it"
    )
    parser.add_argument(
        "--validate-every",
        type=int,
        default=1000,
        metavar="N",
        help="steps from one validation to the next (default 1000)",
    )
    args = parser.parse_args()

    phases, size = (QUICK, 96) if args.quick else (PHASES, 224)
    known = [phase.name for phase in phases]
    for name in args.phases or ():
        if name not in known:
            parser.error(f"--phases: expected some of {', '.join(known)}; found {name}")
    phases = [phase for phase in phases if phase.name in (args.phases or known)]
    model = fresh_network(args.seed)
    if args.start:
        model = model.with_parameters(npgrad.load(args.start).parameters())
    steps = 0
    for phase in phases:
        result = run(phase, model, args, size)
        steps += result.steps
        if result.interrupted:
            print(
                f"interrupted at step {result.steps} of the {phase.name} phase; the same command continues",
                file=sys.stderr,
            )
            return 130
        model = between(model, half(result.model), phase.kept)
    finish(model, args.output)
    seen = result.validations[-1][1]
    print(f"{args.output}: {steps} steps, held-out accuracy {seen[0]:.2%}, {seen[1]:.2%} attacked")
    return 0


def run(phase, model, args, size):
    """Train a network for one phase."""
    from tqdm import tqdm

    steps = min(args.steps or phase.steps, phase.steps)
    bar = tqdm(total=steps, unit="step", mininterval=10, desc=phase.name)
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
        found = validate(model, size=size), validate_attacked(model, 1.0, size=size)
        bar.write(
            f"{phase.name} step {bar.n + 1}: held-out accuracy at {size} px {found[0]:.2%}, "
            f"{found[1]:.1%} within 1.0",
            file=sys.stderr,
        )
        return found

    optimizer = Adam(phase.rate, weight_decay=1e-4, decoupled=True)
    path = f"{args.checkpoint}.{phase.name}" if args.checkpoint else None
    with bar, training.Ahead(functools.partial(batch, name=phase.name), count=steps) as batches:
        return training.train(
            model, batches, steps, optimizer, parts=PARTS, rng=args.seed, attack=phase.attack(),
            penalty=phase.penalty(),
            validate=checked, validate_every=args.validate_every, callback=show, checkpoint=path,
        )  # fmt: skip


def half(model):
    """Rescale the activations to the common scale, and round to half precision, as the weights are stored."""
    x, _ = labeled(range(16), VALIDATION_SEED, 224)
    trained = training.rescaled(model, x).parameters()
    return model.with_parameters(
        {name: array.astype(np.float16).astype(np.float32) for name, array in trained.items()}
    )


def between(start, end, kept):
    """The network whose weights are between those of two others; 1: the second one."""
    if kept == 1:
        return end
    last = end.parameters()
    mixed = {name: (1 - kept) * array + kept * last[name] for name, array in start.parameters().items()}
    return half(start.with_parameters(mixed))


def finish(model, output):
    """Name the classes, and save in half precision."""
    stored = {name: array.astype(np.float16) for name, array in model.parameters().items()}
    model = squeezenet1_1(num_classes=len(CLASSES)).with_parameters(stored)
    source = {"made by": "scripts/train_scenes.py", "license": "that of npgrad"}
    seen = Preprocessing(resize=224, crop=224)  # a scene's border may hold part of the object
    dataclasses.replace(model, classes=CLASSES, preprocessing=seen, source=source).save(output)


if __name__ == "__main__":
    npgrad.config.threads = npgrad.config.threads or os.cpu_count()  # any number gives the same bits
    sys.exit(main())
