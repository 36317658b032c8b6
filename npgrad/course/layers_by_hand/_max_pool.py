"""Max pooling: reference and typical mistakes.

The output at [n, c, i, j] is the largest value of the window that begins at (i * stride, j * stride). In the backward
pass, dout of a window goes to the place of its largest value, and adds up where windows overlap.
"""

import numpy as np

from npgrad.course.grading._answer import Wrong
from npgrad.course.layers_by_hand._calls import ask_backward
from npgrad.course.layers_by_hand._judge import Fault

TIED = "equal largest values of a window get dout each; PyTorch gives it to the first of them only"


def windows(x, height, width, stride):
    """(place of the output, slices of x) of each window."""
    OH, OW = (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1
    for i, j in np.ndindex(OH, OW):
        rows, columns = (slice(k * stride, k * stride + n) for k, n in ((i, height), (j, width)))
        yield (i, j), (slice(None), slice(None), rows, columns)


def _sizes(pool_param):
    return pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]


def _pooled(x, height, width, stride, what=np.max):
    OH, OW = (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1
    out = np.zeros((*x.shape[:2], OH, OW))
    for (i, j), at in windows(x, height, width, stride):
        out[:, :, i, j] = what(x[at], axis=(2, 3))
    return out


def max_pool(x, pool_param):
    """{out}."""
    return {"out": _pooled(x, *_sizes(pool_param))}


def _sent_back(dout, x, height, width, stride, share, assign=False):
    """dx, where share(window) is what each place of a window gets of dout."""
    dx = np.zeros_like(x)
    for (i, j), at in windows(x, height, width, stride):
        part = share(x[at]) * dout[:, :, i, j, None, None]
        dx[at] = part if assign else dx[at] + part
    return dx


def _largest(window):
    """1 at the largest value, else 0."""
    return (window == window.max(axis=(2, 3), keepdims=True)) * 1.0


def max_pool_gradients(dout, x, pool_param):
    """{dx}."""
    return {"dx": _sent_back(dout, x, *_sizes(pool_param), _largest)}


def pool_cases(rng):
    """Windows that overlap; then a partition; then windows with gaps. No two values are equal."""
    for shape, height, width, stride in (
        ((3, 5, 9, 7), 3, 5, 2),
        ((3, 2, 4, 6), 2, 2, 2),
        ((2, 2, 5, 7), 2, 1, 3),
    ):
        pool_param = {"pool_height": height, "pool_width": width, "stride": stride}
        yield {
            "x": rng.permutation(np.linspace(-3, 3, int(np.prod(shape)))).reshape(shape),
            "pool_param": pool_param,
        }


def note_ties(answer):
    """A remark if equal values, as after a ReLU, get dout more than once: right answers differ there."""
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 2] = 1
    arguments = {"x": x, "pool_param": {"pool_height": 2, "pool_width": 2, "stride": 2}}
    dout = np.array([[[[1.0, 3.0]]]])
    try:
        found, _ = ask_backward(answer, ("dx",), arguments, dout, "")
    except Wrong:
        return
    if np.shape(found["dx"]) == x.shape and np.sum(found["dx"]) > dout.sum() + 1e-6:
        answer.notes.append(TIED)


def _like(v, **changed):
    sizes = {"height": v.pool_height, "width": v.pool_width, "stride": v.stride, **changed}
    x = sizes.pop("x", v.x)
    return {"out": _pooled(x, **sizes)}


def _not_moved(v):
    out = _pooled(v.x, v.pool_height, v.pool_width, 1)
    return {"out": out[:, :, : v.out.shape[2], : v.out.shape[3]]}


def _cut(v, axis):
    out = v.out.copy()
    out[(slice(None),) * axis + (-1,)] = 0
    return {"out": out}


MAX_POOL_FORWARD = {
    "mean": Fault(
        "found the mean of each window, expected its largest value", lambda v: _like(v, what=np.mean)
    ),
    "sum": Fault("found the sum of each window, expected its largest value", lambda v: _like(v, what=np.sum)),
    "minimum": Fault(
        "found the smallest value of each window, expected the largest", lambda v: _like(v, what=np.min)
    ),
    "median": Fault(
        "found the median of each window, expected its largest value", lambda v: _like(v, what=np.median)
    ),
    "corner": Fault(
        "found the first value of each window, expected the largest",
        lambda v: _like(v, what=lambda w, axis: w[:, :, 0, 0]),
    ),
    "absolute": Fault(
        "the signs are lost: found the largest absolute value", lambda v: _like(v, x=np.abs(v.x))
    ),
    "largest index": Fault(
        "found the place of the largest value, expected the value",
        lambda v: _like(v, what=lambda w, axis: w.reshape(*w.shape[:2], -1).argmax(axis=2)),
    ),
    "from zero": Fault(
        "negative maxima are 0: does the search for the largest value begin at 0?",
        lambda v: {"out": np.maximum(v.out, 0)},
    ),
    "stride 1": Fault(
        "the stride is ignored: expected a window every `stride` values", lambda v: _like(v, stride=1)
    ),
    "windows not moved by stride": Fault(
        "the windows move by 1, expected by the stride: start at i * stride, j * stride", _not_moved
    ),
    "sides swapped": Fault(
        "pool_height and pool_width are swapped", lambda v: _like(v, height=v.pool_width, width=v.pool_height)
    ),
    "height twice": Fault("pool_height is used for the width, too", lambda v: _like(v, width=v.pool_height)),
    "height twice, in an output of the right size": Fault(
        "pool_height is used for the width, too", lambda v: {"out": _window(v, v.pool_height, v.pool_height)}
    ),
    "width twice, in an output of the right size": Fault(
        "pool_width is used for the height, too", lambda v: {"out": _window(v, v.pool_width, v.pool_width)}
    ),
    "stride for size": Fault(
        "the window is `stride` values large, expected pool_height by pool_width",
        lambda v: {"out": _window(v, v.stride, v.stride)},
    ),
    "over channels": Fault(
        "the largest value is taken over the channels, too, expected for each channel",
        lambda v: {"out": np.broadcast_to(v.out.max(axis=1, keepdims=True), v.out.shape)},
    ),
    "over batch": Fault(
        "the largest value is taken over the batch, too, expected for each sample",
        lambda v: {"out": np.broadcast_to(v.out.max(axis=0, keepdims=True), v.out.shape)},
    ),
    "over both": Fault(
        "the largest value is taken over batch and channels, too, expected for each",
        lambda v: {"out": np.broadcast_to(v.out.max(axis=(0, 1), keepdims=True), v.out.shape)},
    ),
    "rows": Fault(
        "only the first column of each window counts", lambda v: {"out": _window(v, v.pool_height, 1)}
    ),
    "one too small": Fault(
        "the windows are one row and one column too small",
        lambda v: {"out": _window(v, v.pool_height - 1, v.pool_width - 1)},
    ),
    "one too large": Fault(
        "the windows are one row too large", lambda v: {"out": _window(v, v.pool_height + 1, v.pool_width)}
    ),
    "one too wide": Fault(
        "the windows are one column too large", lambda v: {"out": _window(v, v.pool_height, v.pool_width + 1)}
    ),
    "last row": Fault("the last row is 0: does a loop end one too early?", lambda v: _cut(v, 2)),
    "last column": Fault("the last column is 0: does a loop end one too early?", lambda v: _cut(v, 3)),
}


def _window(v, height, width):
    """The largest values of windows of another size, at the right places."""
    out = np.zeros_like(v.out)
    for i, j in np.ndindex(out.shape[2:]):
        window = v.x[:, :, i * v.stride :, j * v.stride :][:, :, : max(height, 1), : max(width, 1)]
        out[:, :, i, j] = window.max(axis=(2, 3))
    return out


def _back(v, share=_largest, dout=None, **changed):
    sizes = {"height": v.pool_height, "width": v.pool_width, "stride": v.stride, **changed}
    return {"dx": _sent_back(v.dout if dout is None else dout, v.x, share=share, **sizes)}


def _back_not_moved(v):
    dx = np.zeros_like(v.x)
    for i, j in np.ndindex(v.dout.shape[2:]):
        at = (slice(None), slice(None), slice(i, i + v.pool_height), slice(j, j + v.pool_width))
        dx[at] += _largest(v.x[at]) * v.dout[:, :, i, j, None, None]
    return {"dx": dx}


def _corner(window):
    share = np.zeros_like(window)
    share[:, :, 0, 0] = 1
    return share


def _overwritten(v):
    """dx at the largest value = ..., and not +=; elsewhere nothing is written."""
    dx = np.zeros_like(v.x)
    for (i, j), at in windows(v.x, v.pool_height, v.pool_width, v.stride):
        best = _largest(v.x[at]) > 0
        dx[at] = np.where(best, v.dout[:, :, i, j, None, None], dx[at])
    return {"dx": dx}


MAX_POOL_BACKWARD = {
    "assigned": Fault(
        "windows overwrite each other where they overlap (=), expected added (+=): x is used by all of them",
        lambda v: _back(v, assign=True),
    ),
    "overwritten": Fault(
        "a value that is the largest of two windows gets only the last one's dout (=), expected both (+=)",
        _overwritten,
    ),
    "all": Fault(
        "every value of a window gets dout, expected only the largest one", lambda v: _back(v, np.ones_like)
    ),
    "average": Fault(
        "dout is spread over the window as for average pooling, expected at the largest value only",
        lambda v: _back(v, lambda w: np.full_like(w, 1 / w[0, 0].size)),
    ),
    "smallest": Fault(
        "dout goes to the smallest value of each window, expected to the largest",
        lambda v: _back(v, lambda w: _largest(-w)),
    ),
    "corner": Fault(
        "dout goes to the first value of each window, expected to the largest", lambda v: _back(v, _corner)
    ),
    "times value": Fault(
        "dout is multiplied by the largest value, expected by the slope 1",
        lambda v: _back(v, lambda w: _largest(w) * w),
    ),
    "value": Fault(
        "found the largest values, expected dout at their places",
        lambda v: _back(v, lambda w: _largest(w) * w, np.ones_like(v.dout)),
    ),
    "ones": Fault(
        "dout is not used: found a count of windows", lambda v: _back(v, dout=np.ones_like(v.dout))
    ),
    "windows not moved by stride": Fault(
        "the windows move by 1, expected by the stride, as in the forward pass", _back_not_moved
    ),
    "mean": Fault(
        "divided by the number of values in a window", lambda v: {"dx": v.dx / (v.pool_height * v.pool_width)}
    ),
    "per N": Fault("divided by the number of samples", lambda v: {"dx": v.dx / len(v.x)}),
    "over channels": Fault(
        "the largest value is taken over the channels, too, expected for each channel",
        lambda v: _back(v, lambda w: (w == w.max(axis=(1, 2, 3), keepdims=True)) * 1.0),
    ),
    "over batch": Fault(
        "the largest value is taken over the batch, too, expected for each sample",
        lambda v: _back(v, lambda w: (w == w.max(axis=(0, 2, 3), keepdims=True)) * 1.0),
    ),
    "largest everywhere": Fault(
        "only the largest value of x gets dout, expected that of each window",
        lambda v: _back(v, lambda w: (w == v.x.max(axis=(2, 3), keepdims=True)) * 1.0),
    ),
    "columns": Fault(
        "the largest value of each column gets dout, expected one value of the window",
        lambda v: _back(v, lambda w: (w == w.max(axis=2, keepdims=True)) * 1.0),
    ),
    "rows": Fault(
        "the largest value of each row gets dout, expected one value of the window",
        lambda v: _back(v, lambda w: (w == w.max(axis=3, keepdims=True)) * 1.0),
    ),
    "sign": Fault("the sign is flipped", lambda v: {"dx": -v.dx}),
    "first channel": Fault(
        "every channel gets the first channel's dout",
        lambda v: _back(v, dout=np.repeat(v.dout[:, :1], v.x.shape[1], axis=1)),
    ),
}
