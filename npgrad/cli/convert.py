"""Convert a weights file of another framework to npgrad's .h5: torch .pth (both containers), .caffemodel, Deep
Compression .net, .npz, .safetensors or .onnx.

The kind of file and the network in it (SqueezeNet, AlexNet, VGG, ResNet, MobileNetV2; from .onnx, any network whose
layers npgrad has) are recognized by the content. Nothing in the file is executed, and neither torch nor Caffe is
needed. Class names in the form of synset_words.txt ("n02123045 tabby, tabby cat") keep their WordNet ids, which are
then accepted wherever a class is named."""

from npgrad._files import shown
from npgrad._names import spelled
from npgrad.cli._common import add_outputs, add_preprocessing, architectures, names_of, preprocessing_changes
from npgrad.cli._results import check_outputs, written
from npgrad.cli._streams import takes_stdout
from npgrad.images.preprocessing import doubts

HELP = "npgrad weights file (.h5) made from another framework's"
EXAMPLES = """examples:
  npgrad convert squeezenet1_1-b8a52dc0.pth -o squeezenet1_1.h5
  npgrad convert your-weights.pth -o net.h5 --labels your-names.txt --arch squeezenet1_1
  npgrad convert your-checkpoint.pth -o net.h5 --key model_ema
  npgrad convert your-net.onnx -o net.h5 --labels your-names.txt --mean 0.5 --std 0.5
  npgrad convert your-caffe-net.onnx -o net.h5 --bgr --scale 1 --mean 104,117,123
  npgrad convert your-regression.onnx -o net.h5 --outputs value"""


def add_arguments(parser):
    parser.add_argument("input", metavar="INPUT", help="weights file to read")
    output = parser.add_argument(
        "-o", "--output", required=True, metavar="OUT.h5", help="file to write, or - for stdout"
    )
    takes_stdout(output, ".h5")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="class names, one per line in the order of the index, or with their indices (CSV, JSON, Python dict); "
        "default for 1,000 classes: ImageNet's",
    )
    add_outputs(parser)
    arch = parser.add_argument(
        "--arch", metavar="NAME", help="network that the file must contain, e.g. squeezenet1_1"
    )
    names_of(arch, architectures)
    add_preprocessing(parser)
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="which state dict of a checkpoint with several, e.g. model_ema; default: the only one",
    )


def run(args):
    from npgrad.io.converting import convert
    from npgrad.models.registry import ARCHITECTURES

    check_outputs([args.input, args.labels], network=args.output)
    arch = args.arch and spelled("architecture", args.arch, ARCHITECTURES)
    options = {"labels": args.labels, "architecture": arch, "outputs": args.outputs, "key": args.key}
    model = convert(args.input, **options)
    if changes := preprocessing_changes(args):
        model = model.with_preprocessing(**changes)
    if not written(model.save, args.output):
        return 1
    print(f"{shown(args.input)} ({model.source['format']}) -> {shown(args.output)}: {model!r}")
    if not model.preprocessing.assumed:
        print(f"images become its input as {model.preprocessing}")
    for doubt in doubts(model.preprocessing):
        print(doubt)
    return 0
