"""The typical mistakes in a convolution, forward and backward."""

import numpy as np

from npgrad.course.layers_by_hand._conv import conv_gradients, correlate, padded
from npgrad.course.layers_by_hand._judge import Fault


def _with(v, xp=None, w=None, b=None, stride=None):
    xp, w, b = (each if each is not None else own for each, own in ((xp, v.xp), (w, v.w), (b, v.b)))
    return {"out": correlate(xp, w, b, v.stride if stride is None else stride)}


def _windows_not_moved(v):
    """The window at i, not at i * stride, in an output of the right size."""
    out = correlate(v.xp, v.w, v.b, 1)
    return {"out": out[:, :, : v.out.shape[2], : v.out.shape[3]]}


def _last_missing(v, axis):
    out = v.out.copy()
    out[(slice(None),) * axis + (-1,)] = 0
    return {"out": out}


def _first_of_each_product(v):
    xp = v.xp.copy()
    xp[:, 1:] = 0
    return _with(v, xp=xp)


CONV_FORWARD = {
    "no padding": Fault(
        "the padding is ignored: pad zeros on each side of height and width", lambda v: _with(v, xp=v.x)
    ),
    "no stride": Fault(
        "the stride is ignored: expected a window every `stride` values", lambda v: _with(v, stride=1)
    ),
    "windows not moved by stride": Fault(
        "the windows move by 1, expected by the stride: start at i * stride, j * stride", _windows_not_moved
    ),
    "no bias": Fault("the bias b is missing", lambda v: _with(v, b=0 * v.b)),
    "bias each product": Fault(
        "the bias is added for each value of the kernel, expected once for each output: add it after the sum",
        lambda v: _with(v, b=v.w[0].size * v.b),
    ),
    "bias each channel": Fault(
        "the bias is added once for each channel, expected once for each output",
        lambda v: _with(v, b=v.w.shape[1] * v.b),
    ),
    "minus bias": Fault("the bias is subtracted, expected added", lambda v: _with(v, b=-v.b)),
    "first bias": Fault(
        "every filter has the first one's bias", lambda v: _with(v, b=np.full_like(v.b, v.b[0]))
    ),
    "kernel flipped": Fault(
        "the kernel is flipped: the layer correlates, it does not convolve in the mathematical sense",
        lambda v: _with(v, w=v.w[:, :, ::-1, ::-1]),
    ),
    "kernel flipped in height": Fault(
        "the kernel is flipped in height", lambda v: _with(v, w=v.w[:, :, ::-1])
    ),
    "kernel flipped in width": Fault(
        "the kernel is flipped in width", lambda v: _with(v, w=v.w[:, :, :, ::-1])
    ),
    "edge padding": Fault(
        "padded with the values at the edge, expected with zeros",
        lambda v: _with(v, xp=padded(v.x, v.pad, mode="edge")),
    ),
    "wrapped padding": Fault(
        "padded with values of the other side, expected with zeros",
        lambda v: _with(v, xp=padded(v.x, v.pad, mode="wrap")),
    ),
    "ones as padding": Fault(
        "padded with ones, expected with zeros", lambda v: _with(v, xp=padded(v.x, v.pad, constant_values=1))
    ),
    "padding at the end": Fault(
        "all zeros are added below and at the right, expected `pad` on each side",
        lambda v: _with(v, xp=np.pad(v.x, ((0, 0), (0, 0), (0, 2 * v.pad), (0, 2 * v.pad)))),
    ),
    "padding at the start": Fault(
        "all zeros are added above and at the left, expected `pad` on each side",
        lambda v: _with(v, xp=np.pad(v.x, ((0, 0), (0, 0), (2 * v.pad, 0), (2 * v.pad, 0)))),
    ),
    "first channel": Fault(
        "only the first channel counts: sum over the channels, too", lambda v: _first_of_each_product(v)
    ),
    "mean over channels": Fault(
        "found the mean over the channels, expected their sum",
        lambda v: {"out": (v.out - v.b[:, None, None]) / v.w.shape[1] + v.b[:, None, None]},
    ),
    "mean over kernel": Fault(
        "found the mean over the kernel's values, expected their sum",
        lambda v: {"out": (v.out - v.b[:, None, None]) / v.w[0].size + v.b[:, None, None]},
    ),
    "first filter": Fault(
        "every filter has the first one's weights", lambda v: _with(v, w=np.repeat(v.w[:1], len(v.w), axis=0))
    ),
    "first sample": Fault(
        "every sample has the first one's output", lambda v: {"out": np.repeat(v.out[:1], len(v.x), axis=0)}
    ),
    "last row": Fault("the last row is 0: does a loop end one too early?", lambda v: _last_missing(v, 2)),
    "last column": Fault(
        "the last column is 0: does a loop end one too early?", lambda v: _last_missing(v, 3)
    ),
    "relu": Fault(
        "negative outputs are 0: a ReLU belongs to another layer", lambda v: {"out": np.maximum(v.out, 0)}
    ),
    "channels last": Fault(
        "the filters are the last axis, expected (N, F, H, W)", lambda v: {"out": v.out.transpose(0, 2, 3, 1)}
    ),
    "samples second": Fault(
        "the first two axes are swapped, expected (N, F, H, W)",
        lambda v: {"out": v.out.transpose(1, 0, 2, 3)},
    ),
}


def _changed(v, key=None, **arguments):
    given = {"dout": v.dout, "x": v.x, "w": v.w, "b": v.b, "conv_param": {"stride": v.stride, "pad": v.pad}}
    found = conv_gradients(**{**given, **arguments})
    return {each: found[each] for each in (key or ("dx", "dw", "db"))}


def _crop(v, first):
    return {"dx": v.dxp[:, :, first : first + v.x.shape[2], first : first + v.x.shape[3]]}


def _padding_of(mode):
    def wrong(v):
        xp = padded(v.x, v.pad, mode=mode) if mode else np.zeros_like(v.xp)
        if not mode:
            xp[:, :, : v.x.shape[2], : v.x.shape[3]] = v.x
        return {"dw": _changed(v, ("dw",), x=xp, conv_param={"stride": v.stride, "pad": 0})["dw"]}

    return wrong


def _one_step(v):
    """Windows at i, not at i * stride."""
    dxp, dw = np.zeros_like(v.xp), np.zeros_like(v.w)
    OH, OW = v.dout.shape[2:]
    for k, m in np.ndindex(v.w.shape[2:]):
        at = (slice(None), slice(None), slice(k, k + OH), slice(m, m + OW))
        dw[:, :, k, m] = np.einsum("nfhw,nchw->fc", v.dout, v.xp[at])
        dxp[at] += np.einsum("nfhw,fc->nchw", v.dout, v.w[:, :, k, m])
    return {"dx": dxp[:, :, v.pad : v.pad + v.x.shape[2], v.pad : v.pad + v.x.shape[3]], "dw": dw}


def _last_window_wins(v):
    """dx[window] = ... in place of +=, in the order of loops over the outputs."""
    HH, WW = v.w.shape[2:]
    dxp = np.zeros_like(v.xp)
    each_filter = dxp.copy()
    for i, j in np.ndindex(v.dout.shape[2:]):
        at = (
            slice(None),
            slice(None),
            slice(i * v.stride, i * v.stride + HH),
            slice(j * v.stride, j * v.stride + WW),
        )
        dxp[at] = np.einsum("nf,fckl->nckl", v.dout[:, :, i, j], v.w)
        each_filter[at] = np.einsum("n,ckl->nckl", v.dout[:, -1, i, j], v.w[-1])
    inner = (slice(None), slice(None), slice(v.pad, v.pad + v.x.shape[2]), slice(v.pad, v.pad + v.x.shape[3]))
    return dxp[inner], each_filter[inner]


def _only(v, sample=None, at=None):
    """dw and db of one sample, or of one place of the outputs, only."""
    dout = np.zeros_like(v.dout)
    if sample is not None:
        dout[sample] = v.dout[sample]
    else:
        dout[at] = v.dout[at]
    return _changed(v, ("dw", "db"), dout=dout)


CONV_BACKWARD = {
    "not cropped": Fault("has the size of the padded x: cut the padding off", lambda v: {"dx": v.dxp}),
    "cropped at the corner": Fault(
        "the padding is cut off at the wrong side: row 0 of x is row `pad` of the padded one",
        lambda v: _crop(v, 0),
    ),
    "cropped at the other corner": Fault(
        "the padding is cut off at the wrong side: row 0 of x is row `pad` of the padded one",
        lambda v: _crop(v, 2 * v.pad),
    ),
    "assigned": Fault(
        "windows overwrite each other where they overlap (=), expected added (+=): x is used by all of them",
        lambda v: {"dx": _last_window_wins(v)[0]},
    ),
    "assigned, last filter": Fault(
        "each filter's and window's part overwrites the one before (=), expected added (+=)",
        lambda v: {"dx": _last_window_wins(v)[1]},
    ),
    "assigned, by kernel position": Fault(
        "overlapping parts overwrite each other (=), expected added (+=): x is used by several windows",
        lambda v: _changed(v, ("dx",), assign=True),
    ),
    "kernel flipped": Fault(
        "the kernel is flipped once too often", lambda v: _changed(v, ("dx",), w=v.w[:, :, ::-1, ::-1])
    ),
    "windows not moved by stride": Fault(
        "the windows move by 1, expected by the stride, as in the forward pass", _one_step
    ),
    "last filter": Fault(
        "only the last filter counts: add over all of them",
        lambda v: _changed(v, ("dx",), dout=v.dout * (np.arange(len(v.w)) == len(v.w) - 1)[:, None, None]),
    ),
    "first filter": Fault(
        "only the first filter counts: add over all of them",
        lambda v: _changed(v, ("dx",), dout=v.dout * (np.arange(len(v.w)) == 0)[:, None, None]),
    ),
    "dw flipped": Fault("is flipped in height and width", lambda v: {"dw": v.dw[:, :, ::-1, ::-1]}),
    "dw of x at the corner": Fault(
        "x lies at the corner of the padded x, expected in its middle, as in the forward pass",
        _padding_of(None),
    ),
    "dw of edge padding": Fault(
        "padded with the values at the edge, expected with zeros", _padding_of("edge")
    ),
    "last sample": Fault(
        "only the last sample counts: the samples' parts are assigned (=), expected added (+=)",
        lambda v: _only(v, -1),
    ),
    "first sample": Fault(
        "only the first sample counts, expected the sum over the batch", lambda v: _only(v, 0)
    ),
    "last place": Fault(
        "only the last sample's last window counts: the parts are assigned (=), expected added (+=)",
        lambda v: _only(v, at=(-1, slice(None), -1, -1)),
    ),
    "ones": Fault(
        "dout is not used: expected the chain rule, the local gradient times dout",
        lambda v: _changed(v, dout=np.ones_like(v.dout)),
    ),
    "db over batch": Fault(
        "summed over the batch only, expected over height and width, too: every place uses b",
        lambda v: {"db": v.dout.sum(axis=0)},
    ),
    "db over places": Fault(
        "summed over height and width only, expected over the batch, too",
        lambda v: {"db": v.dout.sum(axis=(2, 3))},
    ),
    "db over filters": Fault(
        "summed over the filters, too, expected one number for each", lambda v: {"db": v.dout.sum()}
    ),
    "db of samples": Fault(
        "summed over the filters (axis 1), expected over the batch, height and width",
        lambda v: {"db": v.dout.sum(axis=(1, 2, 3))},
    ),
    "db mean": Fault("found the mean, expected the sum", lambda v: {"db": v.dout.mean(axis=(0, 2, 3))}),
    "db mean over places": Fault(
        "found the mean over the places, expected the sum",
        lambda v: {"db": v.dout.mean(axis=(2, 3)).sum(axis=0)},
    ),
    "mean": Fault(
        "found the mean over the batch, expected the sum: the loss has already divided by N",
        lambda v: {key: getattr(v, key) / len(v.x) for key in ("dx", "dw", "db")},
    ),
    "descent": Fault(
        "the sign is flipped: expected the gradient, not the step of a descent",
        lambda v: {key: -getattr(v, key) for key in ("dx", "dw", "db")},
    ),
    "dw transposed": Fault(
        "its first two axes are swapped, expected (F, C, HH, WW) as w",
        lambda v: {"dw": v.dw.transpose(1, 0, 2, 3)},
    ),
    "decay": Fault(
        "has the gradient of a regularization too, expected that of the layer alone",
        lambda v: {"dw": v.dw + v.w},
    ),
}
