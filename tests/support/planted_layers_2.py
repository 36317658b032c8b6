"""Mistakes as students make them, in normalizations of matrices: edits of `layers_of_a_course`, and their words."""

BOTH = [
    ("dx_hat = dout * gamma", "dx_hat = dout", "dx: gamma is missing"),
    ("(dout * x_hat).sum(axis=0)", "dout.sum(axis=0)", "dgamma: xhat is missing"),
    ("(dout * x_hat).sum(axis=0)", "dout * x_hat", "dgamma: the sum is missing"),
    ("(dout * x_hat).sum(axis=0)", "(dout * x_hat).mean(axis=0)", "dgamma: .*(mean|number of samples)"),
    ("(dout * x_hat).sum(axis=0)", "(dout * x_hat).sum(axis=1)", r"dgamma: summed over axis 1"),
    ("(dout * x_hat).sum(axis=0)", "(dout * x_hat).sum()", "dgamma: "),
    ("dbeta = dout.sum(axis=0)", "dbeta = dout", "dbeta: the sum is missing"),
    ("dbeta = dout.sum(axis=0)", "dbeta = dout.mean(axis=0)", "dbeta: .*(mean|number of samples)"),
    ("dbeta = dout.sum(axis=0)", "dbeta = (dout * gamma).sum(axis=0)", "dbeta: multiplied by gamma"),
    ("- x_hat * sum_two", "", "dx: the path through the variance is missing"),
    ("- sum_one", "", "dx: the path through the mean is missing"),
    ("- sum_one", "+ sum_one", "dx: the path through the mean has the wrong sign"),
    ("- x_hat * sum_two", "+ x_hat * sum_two", "dx: the path through the variance has the wrong sign"),
    ("return dx, dgamma, dbeta", "return dx, dbeta, dgamma", r"returns \(dx, dbeta, dgamma\)"),
    ("return dx, dgamma, dbeta", "return dx, dgamma, dbeta.astype('f')", "dbeta is float32"),
    ("return dx, dgamma, dbeta", "return -dx, dgamma, dbeta", "dx: the sign is flipped"),
]
FORWARD = [
    ("gamma * x_hat + beta", "x_hat + beta", "gamma is missing"),
    ("gamma * x_hat + beta", "gamma * x_hat", "beta is missing"),
    ("gamma * x_hat + beta", "x_hat", "gamma and beta are missing"),
    ("gamma * x_hat + beta", "beta * x_hat + gamma", "gamma and beta are swapped"),
    ("gamma * x_hat + beta", "gamma * (x_hat + beta)", "before gamma multiplies"),
    ("np.sqrt(var + eps)", "np.sqrt(var) + eps", "outside of the root"),
    ("np.sqrt(var + eps)", "np.sqrt(var)", "eps is missing"),
    ("np.sqrt(var + eps)", "(var + eps)", "by its root"),
    ("np.sqrt(var + eps)", "np.sqrt(var + 1e-5)", "eps is the default"),
    ("np.sqrt(var + eps)", "np.sqrt(var - eps)", "eps is subtracted"),
    ("np.sqrt(var + eps)", "1", "not divided by the standard deviation"),
    ("return out, cache", "return out.astype(np.float32), cache", "float32"),
    ("return out, cache", "return out", "cache missing"),
]
STATISTICS = """mu = x.mean(axis=0)
        xc = x - mu
        var = np.mean(xc**2, axis=0)"""
IN_TEST = "x_test = (x - running_mean) / np.sqrt(running_var + eps)"
SUMS = """sum_one = dx_hat.sum(axis=1, keepdims=True)
    sum_two = (dx_hat * x_hat).sum(axis=1, keepdims=True)"""
LOOP = """xc = np.zeros_like(x)
        for i in range(N):
            for j in range(D):
                xc[i, j] = x[i, j] - mu[j]
"""
PLANTED = {
    "batchnorm_forward": [
        *FORWARD,
        ("np.mean(xc**2, axis=0)", "x.var(axis=0, ddof=1)", "ddof=1"),
        ("np.mean(xc**2, axis=0)", "np.sum(xc**2, axis=0)", "sum of squares"),
        ("np.mean(xc**2, axis=0)", "np.mean(x**2, axis=0)", r"mean of x\^2"),
        ("mu = x.mean(axis=0)", "mu = x.mean()", "out: "),
        (
            STATISTICS,
            "mu = x.mean()\n        xc = x - mu\n        var = x.var()",
            "over all values together",
        ),
        (
            STATISTICS,
            "xc = x - x.mean(axis=1)[:, None]\n        mu = x.mean(axis=0)\n        var = x.var(axis=1)[:, None]",
            "features of each sample",
        ),
        (
            "momentum * running_mean + (1 - momentum) * mu",
            "(1 - momentum) * running_mean + momentum * mu",
            "running_mean: the momentum's meaning is swapped",
        ),
        (
            "momentum * running_var + (1 - momentum) * var",
            "(1 - momentum) * running_var + momentum * var",
            "running_var: the momentum's meaning is swapped",
        ),
        ('    bn_param["running_mean"] = running_mean\n', "", "running_mean: not updated"),
        ('    bn_param["running_var"] = running_var\n', "", "running_var: not updated"),
        ("momentum * running_mean + (1 - momentum) * mu", "mu", "running_mean: replaced by the batch's"),
        (
            "momentum * running_mean + (1 - momentum) * mu",
            "momentum * running_mean + mu",
            "running_mean: the batch's is added",
        ),
        ("+ (1 - momentum) * var", "+ (1 - momentum) * std", "running_var: has the standard deviation"),
        (
            "+ (1 - momentum) * var",
            "+ (1 - momentum) * x.var(axis=0, ddof=1)",
            "running_var: is divided by n - 1",
        ),
        ("+ (1 - momentum) * var", "+ (1 - momentum) * (var + eps)", "running_var: eps is added"),
        ('bn_param.get("momentum", 0.9)', "0.9", "momentum is the default"),
        ("        xc = x - mu\n", "        xc = x - running_mean\n", "out: "),
        (
            "        x_hat = xc / std\n",
            "        x_hat = (x - running_mean) / np.sqrt(running_var + eps)\n",
            "running statistics are used in training",
        ),
        (
            IN_TEST,
            "x_test = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)",
            "batch's statistics are used in test mode",
        ),
        (
            IN_TEST,
            "x_test = (x - running_mean) / np.sqrt(running_var)",
            "eps is missing in test mode",
        ),
        (
            IN_TEST,
            "x_test = (x - running_mean) / (running_var + eps)",
            "running variance in test mode",
        ),
        ("out = gamma * x_test + beta", "out = x_test", "gamma and beta are missing in test mode"),
        ("out = gamma * x_test + beta", "out = x", "returned as it is in test mode"),
        (
            "out = gamma * x_test + beta",
            "out = gamma * x_test + beta\n        running_mean = 0.7 * running_mean + 0.3 * x.mean(axis=0)",
            "running_mean: changed in test mode",
        ),
        (
            '    bn_param["running_mean"] = running_mean\n    bn_param["running_var"] = running_var\n',
            '    bn_param["running_mean"] = running_var\n    bn_param["running_var"] = running_mean\n',
            "each other's name",
        ),
        (
            "        mu = x.mean(axis=0)\n",
            "        x -= 1\n        mu = x.mean(axis=0)\n",
            "modified the argument x",
        ),
        (
            "xc = x - mu\n",
            LOOP,
            "Python loop",
        ),
    ],
    "batchnorm_backward": [
        ("dbeta = np.sum(dout, axis=0)", "dbeta = dout", "dbeta: the sum is missing"),
        (
            "dbeta = np.sum(dout, axis=0)",
            "dbeta = np.mean(dout, axis=0)",
            "dbeta: .*(mean|number of samples)",
        ),
        (
            "dgamma = np.sum(dout * x_hat, axis=0)",
            "dgamma = np.sum(dout * xc, axis=0)",
            "dgamma: x - mean is used",
        ),
        ("dgamma = np.sum(dout * x_hat, axis=0)", "dgamma = np.sum(dout, axis=0)", "dgamma: xhat is missing"),
        (
            "dgamma = np.sum(dout * x_hat, axis=0)",
            "dgamma = np.sum(dout * x_hat, axis=0) * gamma",
            "dgamma: multiplied by gamma",
        ),
        ("dx_hat = dout * gamma", "dx_hat = dout", "dx: gamma is missing"),
        ("0.5 * dstd / std", "dstd / std", "dx: the path through the variance counts twice"),
        ("2.0 * xc * dvar / N", "xc * dvar / N", "dx: the path through the variance has half"),
        ("2.0 * xc * dvar / N", "2.0 * xc * dvar", "dx: the path through the variance is not divided"),
        ("    dxc += 2.0 * xc * dvar / N\n", "", "dx: the path through the variance is missing"),
        ("dx = dxc + dmu / N", "dx = dxc", "dx: the path through the mean is missing"),
        ("dx = dxc + dmu / N", "dx = dxc + dmu", "dx: the path through the mean is not divided"),
        ("dx = dxc + dmu / N", "dx = dxc - dmu / N", "dx: the path through the mean has the wrong sign"),
        ("np.sum(-dx_hat * xc", "np.sum(dx_hat * xc", "dx: the path through the variance has the wrong sign"),
        ("dx = dxc + dmu / N", "dx = dx_hat / std", "taken as constants"),
        ("dx = dxc + dmu / N", "dx = (dxc + dmu / N) / N", "dx: .*number of samples"),
        (
            "cache = (x_hat, xc, std, var, gamma, eps)",
            "cache = (out, xc, std, var, gamma, eps)",
            "dgamma: out is used where xhat",
            "batchnorm_forward",
        ),
        (
            "cache = (x_hat, xc, std, var, gamma, eps)",
            "cache = (x, xc, std, var, gamma, eps)",
            "dgamma: x is used where xhat",
            "batchnorm_forward",
        ),
        ("return dx, dgamma, dbeta", "return dx, dbeta, dgamma", r"returns \(dx, dbeta, dgamma\)"),
        (
            "    dxc = dx_hat / std\n",
            "    dout *= 0.5\n    dxc = dx_hat / std\n",
            "modified the argument dout",
        ),
    ],
    "batchnorm_backward_alt": [
        *BOTH,
        ("dx_hat.sum(axis=0)", "dx_hat.sum(axis=1, keepdims=True)", "dx: "),
        ("/ (N * std)", "/ std", "dx: not divided by the number of values"),
        ("N * dx_hat - sum_one - x_hat * sum_two", "dx_hat - sum_one - x_hat * sum_two", "dx: "),
        ("/ (N * std)", "/ (N * std * std)", "dx: divided by the variance"),
        ("/ (N * std)", "/ N", "dx: not divided by the standard deviation"),
    ],
    "layernorm_forward": [
        *FORWARD,
        (
            "x.mean(axis=1, keepdims=True)\n    var = x.var(axis=1, keepdims=True)",
            "x.mean(axis=0)\n    var = x.var(axis=0)",
            r"over the batch \(axis 0\)",
        ),
        (
            "x.mean(axis=1, keepdims=True)\n    var = x.var(axis=1, keepdims=True)",
            "x.mean()\n    var = x.var()",
            "all values together",
        ),
        ("x.var(axis=1, keepdims=True)", "x.var(axis=1, keepdims=True, ddof=1)", "ddof=1"),
        ("x.var(axis=1, keepdims=True)", "(x ** 2).mean(axis=1, keepdims=True)", r"mean of x\^2"),
        ("x_hat = (x - mu) / std", "x_hat = x / std", "mean is not subtracted"),
        ("x_hat = (x - mu) / std", "x_hat = (x - mu) * std", "multiplied by the standard deviation"),
        ("mu = x.mean(axis=1, keepdims=True)", "mu = np.median(x, axis=1, keepdims=True)", "wrong|too large"),
        (
            "mu = x.mean(axis=1, keepdims=True)",
            "mu = np.array([[sum(row) / len(row)] for row in x])",
            "Python loop",
        ),
        (
            "std = np.sqrt(var + eps)\n",
            "std = np.sqrt(var + eps)\n    x -= mu\n    mu = 0\n",
            "modified the argument x",
        ),
    ],
    "layernorm_backward": [
        *BOTH,
        (
            SUMS,
            "sum_one = dx_hat.sum(axis=0)\n    sum_two = (dx_hat * x_hat).sum(axis=0)",
            "dx: ",
        ),
        ("    D = dout.shape[1]", "    D = dout.shape[0]", "dx: "),
        ("/ (D * std)", "/ std", "dx: not divided by the number of values"),
        ("/ (D * std)", "/ (D * std**2)", "dx: divided by the variance"),
        ('"x_hat": x_hat', '"x_hat": out', "out is used where xhat", "layernorm_forward"),
        ('"x_hat": x_hat', '"x_hat": x', "x is used where xhat", "layernorm_forward"),
    ],
}
