"""Forty differences, each planted in one layer of a torch network that is recorded, and what is to be said of each.

Each is (network, name, layers of npgrad's of which one must be named, kinds of which one must be said, change).
``change(net)`` changes the torch network and may return another function of x to record, or None.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch_changes import Instead, changed, weight, with_backward

PLANTED = []


def plants(network, layers, kinds, direction="forward"):
    """Enter a change of a torch network into the table."""

    def enter(change):
        layers_ = (layers,) if isinstance(layers, str) else layers
        kinds_ = (kinds,) if isinstance(kinds, str) else kinds
        PLANTED.append((network, change.__name__, layers_, kinds_, direction, change))
        return change

    return enter


# SqueezeNet


@plants("squeezenet", "conv1", "padding")
def padded_first_convolution(net):
    changed(net.features[0], padding=(1, 1))


@plants("squeezenet", "pool1", "ceil mode")
def pool_without_ceil_mode(net):
    changed(net.features[2], ceil_mode=False)


@plants("squeezenet", "conv1", "preprocessing")
def blue_green_red(net):
    net.features[0].register_forward_pre_hook(lambda module, x: (x[0].flip(1),))


@plants("squeezenet", "conv1", "preprocessing")
def values_to_255(net):
    std, mean = torch.tensor([0.229, 0.224, 0.225]), torch.tensor([0.485, 0.456, 0.406])
    net.features[0].register_forward_pre_hook(
        lambda module, x: (255 * (x[0] * std.view(-1, 1, 1) + mean.view(-1, 1, 1)),)
    )


@plants("squeezenet", "fire2.squeeze", "weight layout")
def weight_read_as_hwio(net):
    weight(net.features[3].squeeze, lambda w: w.permute(2, 3, 1, 0))


@plants("squeezenet", "fire4.expand3x3", "flipped")
def convolution_for_cross_correlation(net):
    weight(net.features[6].expand3x3, lambda w: w.flip(2, 3))


@plants("squeezenet", "fire5.expand1x1", "bias")
def bias_forgotten(net):
    net.features[7].expand1x1.bias.data.zero_()


@plants("squeezenet", "fire3.squeeze_relu", "activation")
def leaky_relu(net):
    net.features[4].squeeze_activation = nn.LeakyReLU(0.1)


@plants("squeezenet", "drop9", "dropout")
def dropout_on(net):
    net.classifier[0].train()


@plants("squeezenet", "fire6.expand3x3_relu", "missing layer")
def relu_forgotten(net):
    net.features[9].expand3x3_activation = nn.Identity()


@plants("squeezenet", "conv10", "factor")
def twice_the_output(net):
    convolution = net.classifier[1]
    net.classifier[1] = Instead(lambda x: 2 * convolution(x))


@plants("squeezenet", "pool3", "pooling")
def mean_for_maximum(net):
    net.features[5] = nn.AvgPool2d(3, 2, ceil_mode=True)


@plants("squeezenet", "fire8.squeeze_relu", "backward", "backward")
def guided_backpropagation(net):
    fire = net.features[11]
    fire.squeeze_activation = with_backward(nn.ReLU(), lambda dy, x: dy * (dy > 0) * (x > 0))


@plants("squeezenet", "fire9.expand3x3", "flipped", "backward")
def kernel_flipped_in_backward(net):
    module = net.features[12].expand3x3
    net.features[12].expand3x3 = with_backward(
        module, lambda dy, x: torch.nn.grad.conv2d_input(x.shape, module.weight.flip(2, 3), dy, padding=1)
    )


# ResNet-18


@plants("resnet18", "bn1", "training mode")
def batch_norm_in_training_mode(net):
    net.bn1.train()


@plants("resnet18", "conv2_1.bn2", "epsilon")
def another_epsilon(net):
    changed(net.layer1[0].bn2, eps=1e-3)


@plants("resnet18", "conv3_1.conv1", "padding")
def same_padding(net):
    convolution = net.layer2[0].conv1
    changed(convolution, padding=(0, 0))
    convolution.register_forward_pre_hook(lambda module, x: (F.pad(x[0], (0, 1, 0, 1)),))


@plants("resnet18", "pool1", "padding")
def same_padding_of_a_pool(net):
    net.maxpool = Instead(lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2))


@plants("resnet18", "conv3_1.add", "fork branch")
def shortcut_forgotten(net):
    net.layer2[0].downsample.register_forward_hook(lambda module, x, y: y)
    block = net.layer2[0]

    def forward(x):
        y = block.relu1(block.bn1(block.conv1(x)))
        block.downsample(x)
        return block.relu2(block.bn2(block.conv2(y)))

    block.forward = forward


@plants("resnet18", "conv4_1.shortcut_bn", "parameters")
def statistics_not_loaded(net):
    net.layer3[0].downsample[1].running_mean.zero_()


@plants("resnet18", "conv4_2.conv2", "weight layout")
def filters_and_channels_exchanged(net):
    weight(net.layer3[1].conv2, lambda w: w.transpose(0, 1))


@plants("resnet18", "conv5_2.conv2", "dilation")
def dilated(net):
    changed(net.layer4[1].conv2, dilation=(2, 2), padding=(2, 2))


@plants("resnet18", "fc", "bias")
def bias_of_the_classifier_forgotten(net):
    net.fc.bias.data.zero_()


@plants("resnet18", "conv2_2.relu1", "activation")
def gelu(net):
    net.layer1[1].relu1 = nn.GELU()


@plants("resnet18", "pool5", "pooling")
def global_maximum(net):
    net.avgpool = nn.AdaptiveMaxPool2d(1)


@plants("resnet18", "conv3_2.bn1", "channel order")
def channels_reversed(net):
    net.layer2[1].bn1.register_forward_hook(lambda module, x, y: y.flip(1))


@plants("resnet18", "conv4_1.bn1", "parameters")
def weight_and_bias_exchanged(net):
    norm = net.layer3[0].bn1
    norm.weight, norm.bias = norm.bias, norm.weight


@plants("resnet18", "conv1", "padding")
def reflected_border(net):
    changed(net.conv1, padding_mode="reflect")
    net.conv1._reversed_padding_repeated_twice = [3, 3, 3, 3]


@plants("resnet18", "conv5_1.conv1", "precision")
def half_precision(net):
    net.layer4[0].conv1.register_forward_hook(lambda module, x, y: y.bfloat16().float())


@plants("resnet18", "conv2_2.add", "fork branch", "backward")
def shortcut_without_gradient(net):
    block = net.layer1[1]

    def forward(x):
        y = block.relu1(block.bn1(block.conv1(x)))
        return block.relu2(block.bn2(block.conv2(y)) + x.detach())

    block.forward = forward


@plants("resnet18", "conv4_2.conv1", "sign", "backward")
def gradient_reversed(net):
    module = net.layer3[1].conv1
    net.layer3[1].conv1 = with_backward(
        module, lambda dy, x: -torch.nn.grad.conv2d_input(x.shape, module.weight, dy, padding=1)
    )


# A graph of ONNX


@plants("graph", "/up/Resize", "align corners")
def corners_aligned(net):
    changed(net.up, align_corners=True)


@plants("graph", "/mean/AveragePool", "padding")
def padding_not_counted(net):
    changed(net.mean, count_include_pad=False)


@plants("graph", "/depthwise/Conv", "transposed")
def kernel_transposed(net):
    weight(net.depthwise, lambda w: w.transpose(2, 3))


@plants("graph", "/join/Concat", "channel order")
def joined_in_another_order(net):
    net.join = Instead(lambda a, b: torch.cat([b, a], 1))


@plants("graph", "/conv1/Conv", "padding")
def same_padding_in_a_graph(net):
    changed(net.conv1, padding=(0, 0))
    net.conv1.register_forward_pre_hook(lambda module, x: (F.pad(x[0], (0, 1, 0, 1)),))


@plants("graph", "/act1/LeakyRelu", "activation")
def another_slope(net):
    changed(net.act1, negative_slope=0.25)


@plants("graph", "/fc/Gemm", "channel order")
def flattened_in_another_order(net):
    weight(net.fc, lambda w: w.view(5, 12, 4, 4).permute(0, 2, 3, 1))


@plants("graph", "/conv2/Conv", "samples")
def samples_in_another_order(net):
    net.conv2.register_forward_hook(lambda module, x, y: y.flip(0))


@plants("graph", "/mean/AveragePool", "factor", "backward")
def half_the_gradient(net):
    net.mean = with_backward(
        net.mean, lambda dy, x: 0.5 * torch.func.vjp(lambda x: F.avg_pool2d(x, 3, 2, 1), x)[1](dy)[0]
    )
