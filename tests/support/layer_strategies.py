"""What Hypothesis draws of layers that normalize, resize or rearrange; strategies.py has the others and the table."""

import math

from hypothesis import strategies as st
from strategies_common import array, images, seeds, sides, sizes

from npgrad import layers


@st.composite
def layer_norm(draw):
    shape, seed, channels = draw(images()), draw(seeds), draw(st.booleans())
    own = shape[:1] if channels else shape[draw(st.integers(0, 2)) :]
    bias = array(seed + 1, *own) if draw(st.booleans()) else None
    return layers.LayerNorm(array(seed, *own), bias, 1e-2, channels), shape


@st.composite
def group_norm(draw):
    groups, each, seed = draw(sides), draw(sides), draw(seeds)
    arrays = [array(seed + i, groups * each) for i in range(draw(st.integers(0, 2)))]
    return layers.GroupNorm(groups, *arrays, eps=1e-2), (groups * each, draw(sizes), draw(sizes))


@st.composite
def local_response_norm(draw):
    size, alpha, beta = draw(st.sampled_from([1, 3, 5])), draw(st.floats(0, 2)), draw(st.floats(0.25, 1))
    return layers.LocalResponseNorm(size, alpha, beta, draw(st.floats(0.5, 2))), draw(images())


@st.composite
def upsample(draw):
    mode = draw(st.sampled_from(["nearest", "bilinear"]))
    options = {"mode": mode, "align_corners": mode == "bilinear" and draw(st.booleans())}
    if draw(st.booleans()):
        return layers.Upsample(size=draw(st.tuples(sizes, sizes)), **options), draw(images())
    return layers.Upsample(draw(st.tuples(*[st.floats(1, 3)] * 2)), **options), draw(images())


@st.composite
def permute(draw):
    return layers.Permute((0, *draw(st.permutations([1, 2, 3])))), draw(images())


@st.composite
def reshape(draw):
    shape = draw(images())
    new = draw(st.sampled_from([(math.prod(shape),), (shape[2], -1), (-1, 1, shape[0]), shape[::-1]]))
    return layers.Reshape(new), shape


@st.composite
def slices(draw):
    shape, axis = draw(images()), draw(st.integers(1, 3))
    start = draw(st.integers(0, shape[axis - 1] - 1))
    stop = draw(st.sampled_from([None, start + 1, shape[axis - 1]]))
    return draw(
        st.sampled_from([layers.Slice(axis, start, stop, 2), layers.Slice(axis, start, None, -1)])
    ), shape


@st.composite
def channel_shuffle(draw):
    groups = draw(sides)
    return layers.ChannelShuffle(groups), (groups * draw(sides), draw(sizes), draw(sizes))


@st.composite
def squeeze(draw):
    return draw(
        st.sampled_from(
            [(layers.Squeeze(), (draw(sizes), 1, 1)), (layers.Squeeze((3,)), (2, draw(sizes), 1))]
        )
    )


OTHERS = {
    "ChannelShuffle": channel_shuffle(),
    "GroupNorm": group_norm(),
    "LayerNorm": layer_norm(),
    "LocalResponseNorm": local_response_norm(),
    "Permute": permute(),
    "Reshape": reshape(),
    "Slice": slices(),
    "Squeeze": squeeze(),
    "Upsample": upsample(),
}
