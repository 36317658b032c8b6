"""Mistakes as students make them, in normalizations of images: edits of `layers_of_a_course`, and their words."""

from planted_layers_2 import FORWARD, IN_TEST

STATISTICS = """mu = groups.mean(axis=AXES, keepdims=True)
    var = groups.var(axis=AXES, keepdims=True)"""


def over(axes):
    return STATISTICS.replace("AXES", axes)


PLANTED = {
    "spatial_batchnorm_forward": [
        ("x.transpose(0, 2, 3, 1).reshape(-1, C)", "x.reshape(-1, C)", "out: "),
        ("out.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "out.reshape(N, C, H, W)", "out: "),
        ("out.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "out.reshape(N, H, W, C)", "out: .*transposed"),
        ("out.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "out", "out: expected shape"),
        (
            "out.reshape(N, H, W, C).transpose(0, 3, 1, 2)",
            "out.reshape(N, W, H, C).transpose(0, 3, 2, 1)",
            "out: ",
        ),
        ("gamma, beta, bn_param)\n    out", "beta, gamma, bn_param)\n    out", "gamma and beta are swapped"),
        ("gamma, beta, bn_param)\n    out", "np.ones(C), beta, bn_param)\n    out", "gamma is missing"),
        ("gamma, beta, bn_param)\n    out", "gamma, np.zeros(C), bn_param)\n    out", "beta is missing"),
        (
            "gamma, beta, bn_param)\n    out",
            "gamma, beta, dict(bn_param))\n    out",
            "(not updated|is not stored)",
        ),
        (
            "gamma, beta, bn_param)\n    out",
            "gamma, beta, bn_param | {'eps': 1e-5})\n    out",
            "eps is the default|is not stored|not updated",
        ),
        ("return out, cache", "return out", "cache missing"),
        ("return out, cache", "return out.astype('f'), cache", "float32"),
        ("    rows = x", "    x = x - x.mean(axis=(2, 3), keepdims=True)\n    rows = x", "out: "),
        (
            "    return out, cache",
            "    bn_param['running_var'] = bn_param['running_var'] ** 0.5\n    return out, cache",
            "running_var: ",
        ),
        ("np.mean(xc**2, axis=0)", "x.var(axis=0, ddof=1)", "ddof=1", "batchnorm_forward"),
        ("np.sqrt(var + eps)", "np.sqrt(var) + eps", "outside of the root", "batchnorm_forward"),
        (
            "momentum * running_mean + (1 - momentum) * mu",
            "(1 - momentum) * running_mean + momentum * mu",
            "momentum's meaning",
            "batchnorm_forward",
        ),
        (
            IN_TEST,
            "x_test = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)",
            "batch's statistics are used in test mode",
            "batchnorm_forward",
        ),
    ],
    "spatial_batchnorm_backward": [
        ("dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "dx.reshape(N, H, W, C)", "dx: .*transposed"),
        ("dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "dx", "dx: expected shape"),
        ("dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "dx.reshape(dout.shape)", "dx: "),
        ("return dx, dgamma, dbeta", "return dx, dbeta, dgamma", r"returns \(dx, dbeta, dgamma\)"),
        (
            "return dx, dgamma, dbeta",
            "return dx, dgamma / N, dbeta / N",
            "dgamma, dbeta: divided by the number of samples",
        ),
        (
            "return dx, dgamma, dbeta",
            "return dx, dgamma, dout.sum(axis=0)",
            "dbeta: summed over the batch only",
        ),
        (
            "return dx, dgamma, dbeta",
            "return dx, dgamma, dout.sum(axis=(0, 2, 3), keepdims=True)",
            "dbeta: has axes of size 1",
        ),
        ("return dx, dgamma, dbeta", "return dx, dgamma, dout.mean(axis=(0, 2, 3))", "dbeta: found a mean"),
        ("return dx, dgamma, dbeta", "return -dx, dgamma, dbeta", "dx: the sign is flipped"),
        ("return dx, dgamma, dbeta", "return dx.astype('f'), dgamma, dbeta", "dx is float32"),
        ("dx_hat = dout * gamma", "dx_hat = dout", "dx: gamma is missing", "batchnorm_backward"),
        ("dx = dxc + dmu / N", "dx = dxc", "path through the mean is missing", "batchnorm_backward"),
        (
            "    dxc += 2.0 * xc * dvar / N\n",
            "",
            "path through the variance is missing",
            "batchnorm_backward",
        ),
        ("dout * x_hat", "dout * xc", "dgamma: x - mean is used", "batchnorm_backward"),
    ],
    "spatial_groupnorm_forward": [
        *FORWARD,
        ("x.reshape(N, G, C // G, H, W)", "x.reshape(N, C // G, G, H, W)", "number of channels in a group"),
        (
            over("(2, 3, 4)"),
            over("(1, 2, 3, 4)"),
            "layer normalization",
        ),
        (
            over("(2, 3, 4)"),
            over("(3, 4)"),
            "instance normalization",
        ),
        (
            over("(2, 3, 4)"),
            over("(0, 2, 3, 4)"),
            "over the batch, too",
        ),
        (
            "out = gamma * x_hat + beta",
            "out = (gamma * x_hat + beta).reshape(N, G, C // G, H, W)",
            "expected shape",
        ),
        (
            "var = groups.var(axis=(2, 3, 4), keepdims=True)",
            "var = groups.var(axis=(2, 3, 4), keepdims=True, ddof=1)",
            "ddof=1",
        ),
        ("groups - mu", "groups", "mean is not subtracted"),
    ],
    "spatial_groupnorm_backward": [
        ("dx_hat = (dout * gamma)", "dx_hat = dout", "dx: gamma is missing"),
        (
            "dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)",
            "dbeta = dout.sum(axis=(0, 2, 3))",
            "dbeta: without the axes of size 1",
        ),
        (
            "dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)",
            "dbeta = dout.sum(axis=0)",
            "dbeta: summed over the batch only",
        ),
        (
            "dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)",
            "dbeta = dout.mean(axis=(0, 2, 3), keepdims=True)",
            "dbeta: found a mean",
        ),
        (
            "(dout * x_hat).sum(axis=(0, 2, 3), keepdims=True)",
            "dout.sum(axis=(0, 2, 3), keepdims=True)",
            "dgamma: xhat is missing",
        ),
        (
            "(dout * x_hat).sum(axis=(0, 2, 3), keepdims=True)",
            "(dout * x_hat).sum(axis=(2, 3), keepdims=True)",
            "dgamma: ",
        ),
        ("- x_hat_g * sum_two", "", "dx: the path through the variance is missing"),
        ("- sum_one", "", "dx: the path through the mean is missing"),
        ("/ (M * std)", "/ std", "dx: not divided by the number of values"),
        ("/ (M * std)", "/ M", "dx: not divided by the standard deviation"),
        ("M = C // G * H * W", "M = H * W", "dx: "),
        ("return dx, dgamma, dbeta", "return dx, dbeta, dgamma", r"returns \(dx, dbeta, dgamma\)"),
        (
            "cache = (x_hat, std, gamma, G)",
            "cache = (out, std, gamma, G)",
            "dgamma: out is used where xhat",
            "spatial_groupnorm_forward",
        ),
        ("    dx = dx.reshape(N, C, H, W)\n", "", "dx: expected shape"),
    ],
}
