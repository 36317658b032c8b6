"""Score attribution methods against the truth: drawn scenes in which the pixels of the object are known.

Only scenes that the network classifies correctly are used. Three baselines that know nothing about the network are in
the table as well: a random map, a centered blob and an edge detector. A method that does no better explains nothing.

n          number of scenes that the method was scored on (fewer for slow methods)
pointing   share of the maps whose maximum is on the object
energy     share of the positive attribution that is on the object
IoU        overlap of the object and the map above its best threshold
deletion   probability of the class while the most important pixels are removed; area under the curve (lower is
           better)
insertion  the same while they are added to the blurred image (higher is better)

Deletion and insertion need many forward passes and are measured on the first scenes only (--curves). +- is half the
width of the 95% confidence interval of the mean."""

from npgrad.cli import _methods as methods
from npgrad.cli._common import (
    add_json,
    add_seed,
    add_weights,
    load_network,
    print_json,
    table,
    whole_number_type,
)
from npgrad.cli._messages import bar, fail
from npgrad.cli._results import check_outputs, written

HELP = "table of how well attribution methods find the object in drawn scenes"
EXAMPLES = """examples:
  npgrad score
  npgrad score --methods saliency,grad_cam,lrp -n 200
  npgrad score -n 500 --slow 50 --curves 50 --checkpoint score.ckpt --json"""

# Methods that take a hundred passes or more per image.
SLOW = (
    "occlusion", "feature_ablation", "rise", "lime", "kernel_shap", "score_cam", "ablation_cam", "deep_lift_shap",
    "guided_ig", "xrai", "shapley_values", "shapley_value_sampling",
)  # fmt: skip
HEADINGS = {
    "pointing": "pointing %",
    "energy": "energy %",
    "iou": "IoU %",
    "deletion": "deletion",
    "insertion": "insertion",
}


def add_arguments(parser):
    methods.add_methods(parser, "all")
    parser.add_argument(
        "-n", type=whole_number_type(1), default=50, metavar="N", help="number of scenes (default 50)"
    )
    parser.add_argument(
        "--slow",
        type=whole_number_type(1),
        default=10,
        metavar="N",
        help="number of scenes for slow methods (default 10)",
    )
    parser.add_argument(
        "--curves",
        type=whole_number_type(0),
        default=10,
        metavar="N",
        help="number of scenes for deletion and insertion (default 10)",
    )
    add_seed(parser, "scenes and scores", default=3)
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="save the scores after every method; if FILE exists, continue from it",
    )
    add_weights(parser)
    add_json(parser)


def run(args):
    from npgrad.evaluation import held_out, sanity_methods

    names = methods.method_names(args.methods or ",".join(methods.METHODS))  # errors come before any work
    check_outputs([args.weights], checkpoint=args.checkpoint)
    model = load_network(args)
    done = _Scores(args, model)
    held = held_out(model, args.n, args.seed)
    every = {name: _method(name, args.seed) for name in names} | sanity_methods(args.seed)
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
            f"{len(held.x)} scenes that the network classifies correctly, of {held.looked} (seed {args.seed}), "
            f"{held.masks.mean():.1%} of the pixels on the object"
        )
        if rows:
            print(_table(rows))
    if interrupted:
        missing = [name for name in every if name not in done.scores]
        fail(f"interrupted; not scored: {', '.join(missing)}")
        return 130
    return done.code


def _score(every, model, held, done, args):
    """Score the methods that are not done yet; True if interrupted."""
    from npgrad.evaluation import score_method

    counts = {name: args.slow if name in SLOW else args.n for name in every}
    todo = {name: min(counts[name], len(held.x)) for name in every if name not in done.scores}
    with bar(total=sum(todo.values()), unit="scene") as scenes:
        try:
            for name, n in todo.items():
                scenes.set_description(name)
                score = score_method(
                    every[name], model, held, n, args.curves, progress=lambda i, n: scenes.update(1)
                )
                done.add(name, score)
        except KeyboardInterrupt:
            return True
    return False


class _Scores:
    """The scores so far, in memory and in the checkpoint."""

    def __init__(self, args, model):
        from npgrad.evaluation import Score
        from npgrad.io import checkpoints

        self.path, self.scores, self.code = args.checkpoint, {}, 0
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

    def add(self, name, score):
        self.scores[name] = score
        if self.path is not None and not written(self._write):
            self.code = 1

    def _write(self):
        from npgrad.io import checkpoints

        arrays = {
            f"{name}/{key}": v for name, score in self.scores.items() for key, v in score.values.items()
        }
        seconds = {name: score.seconds for name, score in self.scores.items()}
        checkpoints.write(self.path, self.settings, arrays, {"seconds": seconds})


def _method(name, seed):
    """A method with the command's defaults, as maps of importance (N, H, W)."""

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
