#!/usr/bin/env python3
"""Turn somebody else's weights file into npgrad's .h5: torch .pth (both containers), .caffemodel, Deep Compression
.net, .npz, .safetensors or .onnx. What the file is and which network it holds (SqueezeNet, AlexNet, VGG, ResNet,
MobileNetV2; from .onnx, any that npgrad has the layers for) is recognized by its content; nothing in it is ever run,
and neither torch nor Caffe is needed."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from a bare checkout

from npgrad.errors import NpgradError
from npgrad.io.converting import convert

EXAMPLES = """examples:
  python scripts/convert_weights.py squeezenet1_1-b8a52dc0.pth -o squeezenet1_1.h5
  python scripts/convert_weights.py compressed_SqueezeNet.net -o squeezenet1_0.h5
  python scripts/convert_weights.py resnet18-f37072fd.pth -o resnet18.h5
  python scripts/convert_weights.py net.onnx -o net.h5 --labels names.txt
  python scripts/convert_weights.py mine.pth -o mine.h5 --labels names.txt --arch squeezenet1_1"""


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT", help="the weights file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.h5", help="the file to write")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line in the order of the index")
    parser.add_argument("--arch", metavar="NAME", help="the network it must be, e.g. squeezenet1_1")
    args = parser.parse_args(argv)
    try:
        model = convert(args.input, labels=args.labels, architecture=args.arch)
        model.save(args.output)
    except NpgradError as error:
        print(f"convert_weights: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("convert_weights: interrupted", file=sys.stderr)
        return 130
    print(f"{args.input} ({model.source['format']}) -> {args.output}: {model!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
