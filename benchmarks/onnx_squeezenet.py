"""An npgrad SqueezeNet as an ONNX file, node by node."""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

from npgrad.layers import Conv2d, Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU


def write_onnx(model, path):
    """Write the network for any number and size of images: input "x", output "logits"."""
    graph = _Graph()
    last = "x"
    for name, layer in model.network.layers.items():
        last = graph.add(name, layer, last)
    graph.node("Flatten", last, "logits")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "height", "width"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", model.num_classes])
    made = helper.make_graph(graph.nodes, "squeezenet", [x], [logits], graph.weights)
    # Not the newest version, so that older versions of ONNX Runtime can read it.
    network = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(network)
    save(network, path)


class _Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def add(self, name, layer, x):
        """Append the nodes of one layer that takes the value x; return the name of their output."""
        if isinstance(layer, Dropout):
            return x
        if isinstance(layer, Fire):
            s = self.activated(f"{name}.squeeze", layer.squeeze, x)
            a = self.activated(f"{name}.expand1x1", layer.expand1x1, s)
            b = self.activated(f"{name}.expand3x3", layer.expand3x3, s)
            return self.node("Concat", [a, b], name, axis=1)
        if isinstance(layer, Conv2d):
            pads = [*layer.padding, *layer.padding]
            names = [self.weight(f"{name}.{key}", array) for key, array in layer.arrays().items()]
            return self.node("Conv", [x, *names], name, strides=layer.stride, pads=pads)
        if isinstance(layer, MaxPool2d):
            window = {"kernel_shape": layer.kernel_size, "strides": layer.stride}
            return self.node("MaxPool", x, name, **window, ceil_mode=int(layer.ceil_mode))
        return self.node({ReLU: "Relu", GlobalAvgPool2d: "GlobalAveragePool"}[type(layer)], x, name)

    def activated(self, name, layer, x):
        return self.node("Relu", self.add(name, layer, x), f"{name}_relu")

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, output, **options):
        inputs = [inputs] if isinstance(inputs, str) else inputs
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **options))
        return output
