"""Convert a weights file of another framework to npgrad's .h5: torch .pth (both containers), .caffemodel, Deep
Compression .net, .npz, .safetensors or .onnx.

The kind of file and the network in it (SqueezeNet, AlexNet, VGG, ResNet, MobileNetV2; from .onnx, any network whose
layers npgrad has) are recognized by the content. Nothing in the file is executed, and neither torch nor Caffe is
needed. Class names in the form of synset_words.txt ("n02123045 tabby, tabby cat") keep their WordNet ids, which are
then accepted wherever a class is named."""

from npgrad._files import shown
from npgrad._names import spelled

HELP = "npgrad weights file (.h5) made from another framework's"
EXAMPLES = """examples:
  npgrad convert squeezenet1_1-b8a52dc0.pth -o squeezenet1_1.h5
  npgrad convert compressed_SqueezeNet.net -o squeezenet1_0.h5
  npgrad convert resnet18-f37072fd.pth -o resnet18.h5
  npgrad convert net.onnx -o net.h5 --labels names.txt
  npgrad convert mine.pth -o mine.h5 --labels names.txt --arch squeezenet1_1"""


def add_arguments(parser):
    parser.add_argument("input", metavar="INPUT", help="weights file to read")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.h5", help="file to write")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="class names, one per line in the order of the index, or with their indices (CSV, JSON, Python dict); "
        "default for 1,000 classes: ImageNet's",
    )
    parser.add_argument(
        "--arch", metavar="NAME", help="network that the file must contain, e.g. squeezenet1_1"
    )


def run(args):
    from npgrad.io.converting import convert
    from npgrad.models.registry import BUILDERS

    arch = args.arch and spelled("architecture", args.arch, BUILDERS)
    model = convert(args.input, labels=args.labels, architecture=arch)
    model.save(args.output)
    print(f"{shown(args.input)} ({model.source['format']}) -> {shown(args.output)}: {model!r}")
