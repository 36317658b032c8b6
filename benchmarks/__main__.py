"""Time npgrad, torch eager, Captum and ONNX Runtime: same weights, same images, each in its own process.

    python -m benchmarks                                  the table in build/bench.md, all numbers in build/bench.json
    python -m benchmarks --cases forward,saliency --networks squeezenet1_1 --batches 1
    python -m benchmarks --resume                         continue where the last run ended
    python -m benchmarks --page build/bench.json          the short tables in docs/reference/benchmarks.md

How to read the table: a ratio is npgrad's time divided by the other's in the same round; the table gives the median of
the ratios, and their smallest and largest in brackets. Below 1, npgrad is faster. "torch" is torch eager as usually run
(memory format NCHW; Captum with its defaults for attributions), "channels_last" is torch in the memory
format that suits a CPU, with Captum sending 8 images through at once. "torch's best" is the faster of the two.
"products" is the lower bound: only the matrix products of the convolutions. Before a case is timed, the results are
compared; where they differ by more than rounding explains, the case is not timed, and the run ends with 1.

By default, what would take an hour or more is left out: batch 32 except for forward, forward + input gradient and a
training step; with one thread all of batch 32, and integrated gradients, SmoothGrad and occlusion at batch 8. --full
measures these as well; so does naming cases with --cases.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from benchmarks import page, tables
from benchmarks.bench import Bench
from benchmarks.cases import BATCHES
from benchmarks.inputs import NETWORKS
from benchmarks.plan import EVERY_CASE


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cases", "--only", type=_list(EVERY_CASE), metavar="NAMES", help=f"any of: {', '.join(EVERY_CASE)}"
    )
    parser.add_argument("--networks", type=_list(NETWORKS), default=NETWORKS, metavar="NAMES")
    parser.add_argument("--batches", type=_list(BATCHES), default=BATCHES, metavar="NUMBERS")
    parser.add_argument(
        "--threads", type=_list(range(1, 257)), default=[2, 1], metavar="NUMBERS", help="default 2,1"
    )
    parser.add_argument(
        "--contenders",
        type=_list(tables.CONTENDERS),
        default=list(tables.CONTENDERS),
        metavar="NAMES",
        help=f"any of: {', '.join(tables.CONTENDERS)}",
    )
    parser.add_argument("--rounds", type=int, default=9, help="largest number of rounds; default 9")
    parser.add_argument(
        "--budget",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds for the rounds of one case, after the first three of them; default 10",
    )
    parser.add_argument("--side", type=int, default=224, help="side of the images in px; default 224")
    parser.add_argument("--full", action="store_true", help="all cases at all batches")
    parser.add_argument(
        "-o", "--output", default="build/bench", metavar="NAME", help="writes NAME.json and NAME.md"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the results in NAME.json and measure what is missing"
    )
    parser.add_argument(
        "--page", metavar="JSON", help="write short tables of the results in JSON into a page, and exit"
    )
    parser.add_argument(
        "--into",
        metavar="FILE",
        default=page.FILE,
        type=Path,
        help="that page; default docs/reference/benchmarks.md",
    )
    args = parser.parse_args(arguments)
    if args.rounds < 1:
        parser.error("--rounds: expected at least 1")
    if args.contenders[0] != "npgrad":
        parser.error("--contenders: expected npgrad first, then those to compare it with")
    return args


def _list(known):
    def convert(text):
        found = {str(each): each for each in known}
        words = [word.strip() for word in text.split(",")]
        for word in words:
            if word not in found:
                raise argparse.ArgumentTypeError(
                    f"expected any of {', '.join(list(found)[:20])}; found {word!r}"
                )
        return [found[word] for word in words]

    return convert


def main(arguments=None):
    args = parse(arguments)
    if args.page:
        page.write(args.into, json.loads(Path(args.page).read_text(encoding="utf-8")))
        return 0
    missing = [name for name in ("torch", "captum") if not importlib.util.find_spec(name)]
    if missing:
        raise SystemExit(f"benchmarks: {missing[0]} is not installed; pip install -e '.[bench]'")
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"benchmarks: the machine is busy (load {load:.1f}); the ratios will vary", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, folder)
        try:
            with tqdm(unit="case", smoothing=0, bar_format="{desc}{n_fmt} of {total_fmt} [{elapsed}]") as bar:
                bench.run(bar)
        except KeyboardInterrupt:
            print(f"benchmarks: interrupted; --resume continues from {bench.json}", file=sys.stderr)
            return 130
        finally:
            bench.close()
    print(f"benchmarks: the table is in {bench.table}, all numbers are in {bench.json}", file=sys.stderr)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
