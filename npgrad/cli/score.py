"""Score attribution methods against the truth: drawn scenes of which it is known which pixels show the object.

Only scenes count that the network names correctly. Three rows that know nothing of the network stand among the
methods: a random map, a blob in the center, an edge detector. A method that does no better explains nothing.

n          how many scenes the method was scored on (slow methods get fewer)
pointing   how often the map's maximum lies on the object
energy     how much of the positive attribution lies on it
IoU        overlap of the object and the map above its best threshold
deletion   area under the class's probability while the most important pixels go (lower is better)
insertion  the same while they come, beginning with the blurred image (higher is better)

Deletion and insertion, which take many forward passes, are of the first scenes only (--curves). After +- stands half
of the 95 % confidence interval of the mean."""

import sys

from npgrad.cli import _methods as methods
from npgrad.cli._common import add_json, add_weights, network, print_json, table, whole_number

HELP = "score methods against the truth, on drawn scenes"
EXAMPLES = """examples:
  npgrad score
  npgrad score --methods saliency,grad_cam,lrp -n 200
  npgrad score -n 500 --slow 50 --curves 50 --checkpoint score.ckpt --json"""

# What takes a hundred passes or more an image.
SLOW = ("occlusion", "feature_ablation", "lime", "kernel_shap", "score_cam", "ablation_cam", "deep_lift_shap")
HEADINGS = {
    "pointing": "pointing %",
    "energy": "energy %",
    "iou": "IoU %",
    "deletion": "deletion",
    "insertion": "insertion",
}


def add_arguments(parser):
    parser.add_argument(
        "--methods",
        metavar="A,B,...",
        help="as `npgrad attribute --list-methods` shows; default: all",
    )
    parser.add_argument(
        "-n", type=whole_number(1), default=50, metavar="N", help="how many scenes (default 50)"
    )
    parser.add_argument(
        "--slow", type=whole_number(1), default=10, metavar="N", help="for slow methods (default 10)"
    )
    parser.add_argument(
        "--curves",
        type=whole_number(0),
        default=10,
        metavar="N",
        help="for deletion and insertion (default 10)",
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=3, metavar="N", help="of the scenes and of what is random (3)"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="write there every method that is done; if FILE exists, go on from it",
    )
    add_weights(parser)
    add_json(parser)


def run(args):
    from npgrad.evaluation import held_out, sanity_methods

    names = [name.strip() for name in (args.methods or ",".join(methods.METHODS)).split(",") if name.strip()]
    for name in names:
        methods.function_of(name)  # a wrong name is said before the work
    model = network(args)
    held = held_out(model, args.n, args.seed)
    every = {name: _method(name, args.seed) for name in names} | sanity_methods(args.seed)
    done = _Done(args, model)
    interrupted = _score(every, model, held, done, args)
    rows = [_row(name, score) for name, score in done.scores.items() if name in every]
    rows.sort(key=lambda row: (-row["pointing"], -row["energy"]))
    if args.json:
        about = {
            "scenes": len(held.x),
            "looked_at": held.looked,
            "seed": args.seed,
            "interrupted": interrupted,
        }
        print_json({**about, "rows": rows})
    else:
        print(
            f"{len(held.x)} scenes that the network names correctly, of {held.looked} (seed {args.seed}), "
            f"{held.masks.mean():.1%} of the pixels on the object"
        )
        if rows:
            print(_table(rows))
    if interrupted:
        missing = [name for name in every if name not in done.scores]
        print(f"npgrad: interrupted; not scored: {', '.join(missing)}", file=sys.stderr)
        return 130
    return None


def _score(every, model, held, done, args):
    """Score what is not yet done; True if it was interrupted."""
    from npgrad.evaluation import score_method

    counts = {name: args.slow if name in SLOW else args.n for name in every}
    todo = {name: min(counts[name], len(held.x)) for name in every if name not in done.scores}
    from tqdm import tqdm

    with tqdm(total=sum(todo.values()), unit="scene", leave=False) as bar:
        try:
            for name, n in todo.items():
                bar.set_description(name)
                score = score_method(
                    every[name], model, held, n, args.curves, progress=lambda i, n: bar.update(1)
                )
                done.add(name, score)
        except KeyboardInterrupt:
            return True
    return False


class _Done:
    """The scores there are, in memory and in the checkpoint."""

    def __init__(self, args, model):
        from npgrad.evaluation import Score
        from npgrad.io import checkpoints

        self.path, self.scores = args.checkpoint, {}
        if self.path is None:
            return
        self.settings = checkpoints.fingerprint(
            {
                "make": "score",
                "model": model,
                "n": args.n,
                "slow": args.slow,
                "curves": args.curves,
                "seed": args.seed,
            }
        )
        stored = checkpoints.read(self.path, self.settings)
        if stored is not None:
            arrays, rest = stored
            for name, seconds in rest["seconds"].items():
                values = {k.split("/")[1]: v for k, v in arrays.items() if k.split("/")[0] == name}
                self.scores[name] = Score(values, seconds)
        self._write()  # a place that cannot be written is found out before the work, not after

    def add(self, name, score):
        self.scores[name] = score
        if self.path is not None:
            self._write()

    def _write(self):
        from npgrad.io import checkpoints

        arrays = {
            f"{name}/{key}": v for name, score in self.scores.items() for key, v in score.values.items()
        }
        seconds = {name: score.seconds for name, score in self.scores.items()}
        checkpoints.write(self.path, self.settings, arrays, {"seconds": seconds})


def _method(name, seed):
    """A method with the command's defaults, as importance (N, H, W)."""

    def method(model, x, target):
        options = methods.defaults(name, model, x)
        if methods.takes(name, "rng"):
            options["rng"] = seed
        return methods.importance(name, methods.function_of(name)(model, x, target, **options), x)

    return method


def _row(name, score):
    row = {"method": name, "n": len(score.values["pointing"])}
    for measure in HEADINGS:
        known = measure in score.values
        row[measure] = score.mean(measure) if known else None
        interval = score.interval(measure) if known else (float("nan"),) * 2
        row[f"{measure}_95"] = None if interval[0] != interval[0] else list(interval)
    return row | {"seconds": score.seconds}


def _table(rows):
    lines = [["method", "n", *HEADINGS.values(), "s/image"]]
    for row in rows:
        cells = [_cell(row[m], row[f"{m}_95"], percent="%" in HEADINGS[m]) for m in HEADINGS]
        lines.append([row["method"], str(row["n"]), *cells, f"{row['seconds']:.2g}"])
    return table(lines, right=range(1, len(lines[0])))


def _cell(mean, interval, percent):
    """ "84.2 +-5.1", or "0.31 +-0.04"."""
    if mean is None:
        return ""
    scale, digits = (100, 1) if percent else (1, 2)
    half = "" if interval is None else f" +-{scale * (interval[1] - interval[0]) / 2:.{digits}f}"
    return f"{scale * mean:.{digits}f}{half}"
