"""The weight of a convolution otherwise: flipped, transposed, or read in the layout of another framework."""

import itertools

import numpy as np

LAYOUTS = {  # where the axes (F, C, KH, KW) of the weight are
    (2, 3, 1, 0): "HWIO",
    (0, 2, 3, 1): "OHWI",
    (1, 0, 2, 3): "IOHW",
    (1, 2, 3, 0): "IHWO",
    (2, 3, 0, 1): "HWOI",
}


def weights_otherwise(weight):
    """(kind, text, weight) for a convolution's weight: flipped, transposed, or read in another layout."""
    yield "flipped", "the kernel is flipped: a convolution, not a cross-correlation", weight[:, :, ::-1, ::-1]
    yield "flipped", "the kernel is flipped in its rows", weight[:, :, ::-1]
    yield "flipped", "the kernel is flipped in its columns", weight[..., ::-1]
    if weight.shape[2] == weight.shape[3]:
        yield "transposed", "the kernel is transposed: KH and KW are exchanged", weight.swapaxes(2, 3)
    channels = "blue, green, red" if weight.shape[1] == 3 else "reversed"
    yield "channel order", f"the weight's input channels are in the order {channels}", weight[:, ::-1]
    yield "channel order", "the weight's filters are reversed", weight[::-1]
    if weight.shape[0] == weight.shape[1]:
        yield (
            "weight layout",
            "the weight's first two axes are exchanged (IOHW for OIHW)",
            weight.swapaxes(0, 1),
        )
    orders = sorted(itertools.permutations(range(4)), key=lambda order: order not in LAYOUTS)
    for order in (
        orders[:-1] if orders[-1] == (0, 1, 2, 3) else [one for one in orders if one != (0, 1, 2, 3)]
    ):
        name = LAYOUTS.get(order, f"order {order}")
        moved = weight.transpose(order).reshape(weight.shape)
        yield "weight layout", f"the weight in {name} was read as OIHW, without transposing it", moved
        shape = [weight.shape[axis] for axis in order]
        back = weight.reshape(shape).transpose(np.argsort(order))
        yield "weight layout", f"npgrad's weight is {name} read as OIHW, without transposing it", back
