"""A student's `layers.py`, written for the course: layers of images, and blocks of them."""
# ruff: noqa: NPY002, RET504, UP031 (as students write)

import numpy as np
from layers_of_a_course import batchnorm_backward, batchnorm_forward, relu_backward, relu_forward


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out = 1 + (H + 2 * pad - HH) // stride
    W_out = 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    r, c = i * stride, j * stride
                    window = x_pad[n, :, r : r + HH, c : c + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    cache = (x, w, b, conv_param)
    return out, cache


def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    _, _, H_out, W_out = dout.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dx_pad = np.zeros_like(x_pad)
    dw = np.zeros_like(w)
    db = np.sum(dout, axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    r, c = i * stride, j * stride
                    window = x_pad[n, :, r : r + HH, c : c + WW]
                    dw[f] += window * dout[n, f, i, j]
                    dx_pad[n, :, r : r + HH, c : c + WW] += w[f] * dout[n, f, i, j]
    dx = dx_pad[:, :, pad : pad + H, pad : pad + W]
    return dx, dw, db


def max_pool_forward_naive(x, pool_param):
    HH, WW = pool_param["pool_height"], pool_param["pool_width"]
    stride = pool_param["stride"]
    N, C, H, W = x.shape
    H_out = 1 + (H - HH) // stride
    W_out = 1 + (W - WW) // stride
    out = np.zeros((N, C, H_out, W_out))
    for i in range(H_out):
        for j in range(W_out):
            r, c = i * stride, j * stride
            window = x[:, :, r : r + HH, c : c + WW]
            out[:, :, i, j] = window.max(axis=(2, 3))
    cache = (x, pool_param)
    return out, cache


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    HH, WW = pool_param["pool_height"], pool_param["pool_width"]
    stride = pool_param["stride"]
    N, C, H_out, W_out = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(H_out):
                for j in range(W_out):
                    r, s = i * stride, j * stride
                    window = x[n, c, r : r + HH, s : s + WW]
                    best = window == window.max()
                    dx[n, c, r : r + HH, s : s + WW] += best * dout[n, c, i, j]
    return dx


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
    out, cache = batchnorm_forward(rows, gamma, beta, bn_param)
    out = out.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return out, cache


def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    rows = dout.transpose(0, 2, 3, 1).reshape(-1, C)
    dx, dgamma, dbeta = batchnorm_backward(rows, cache)
    dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return dx, dgamma, dbeta


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    groups = x.reshape(N, G, C // G, H, W)
    mu = groups.mean(axis=(2, 3, 4), keepdims=True)
    var = groups.var(axis=(2, 3, 4), keepdims=True)
    std = np.sqrt(var + eps)
    x_hat = ((groups - mu) / std).reshape(N, C, H, W)
    out = gamma * x_hat + beta
    cache = (x_hat, std, gamma, G)
    return out, cache


def spatial_groupnorm_backward(dout, cache):
    x_hat, std, gamma, G = cache
    N, C, H, W = dout.shape
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * x_hat).sum(axis=(0, 2, 3), keepdims=True)
    dx_hat = (dout * gamma).reshape(N, G, C // G, H, W)
    x_hat_g = x_hat.reshape(N, G, C // G, H, W)
    M = C // G * H * W
    sum_one = dx_hat.sum(axis=(2, 3, 4), keepdims=True)
    sum_two = (dx_hat * x_hat_g).sum(axis=(2, 3, 4), keepdims=True)
    dx = (M * dx_hat - sum_one - x_hat_g * sum_two) / (M * std)
    dx = dx.reshape(N, C, H, W)
    return dx, dgamma, dbeta


def global_avg_pool_forward(x):
    out = x.mean(axis=(2, 3))
    cache = x.shape
    return out, cache


def global_avg_pool_backward(dout, cache):
    N, C, H, W = cache
    dx = np.zeros((N, C, H, W))
    dx += dout[:, :, None, None] / (H * W)
    return dx


def same_conv_forward(x, w, b):
    return conv_forward_naive(x, w, b, {"stride": 1, "pad": (w.shape[2] - 1) // 2})


def residual_forward(x, w1, b1, w2, b2):
    a, conv1_cache = same_conv_forward(x, w1, b1)
    h, relu1_cache = relu_forward(a)
    y, conv2_cache = same_conv_forward(h, w2, b2)
    z = x + y
    out, relu2_cache = relu_forward(z)
    cache = (conv1_cache, relu1_cache, conv2_cache, relu2_cache)
    return out, cache


def residual_backward(dout, cache):
    conv1_cache, relu1_cache, conv2_cache, relu2_cache = cache
    dz = relu_backward(dout, relu2_cache)
    dh, dw2, db2 = conv_backward_naive(dz, conv2_cache)
    da = relu_backward(dh, relu1_cache)
    dx, dw1, db1 = conv_backward_naive(da, conv1_cache)
    dx = dx + dz
    return dx, dw1, db1, dw2, db2


def inception_forward(x, w1, b1, w3, b3, w5, b5):
    y1, cache1 = same_conv_forward(x, w1, b1)
    y3, cache3 = same_conv_forward(x, w3, b3)
    y5, cache5 = same_conv_forward(x, w5, b5)
    out = np.concatenate([y1, y3, y5], axis=1)
    cache = (cache1, cache3, cache5)
    return out, cache


def inception_backward(dout, cache):
    cache1, cache3, cache5 = cache
    F1, F3 = cache1[1].shape[0], cache3[1].shape[0]
    d1 = dout[:, :F1]
    d3 = dout[:, F1 : F1 + F3]
    d5 = dout[:, F1 + F3 :]
    dx1, dw1, db1 = conv_backward_naive(d1, cache1)
    dx3, dw3, db3 = conv_backward_naive(d3, cache3)
    dx5, dw5, db5 = conv_backward_naive(d5, cache5)
    dx = dx1 + dx3 + dx5
    return dx, dw1, db1, dw3, db3, dw5, db5


def fire_forward(x, ws, bs, w1, b1, w3, b3):
    a, squeeze_cache = same_conv_forward(x, ws, bs)
    s, relus_cache = relu_forward(a)
    a1, cache1 = same_conv_forward(s, w1, b1)
    a3, cache3 = same_conv_forward(s, w3, b3)
    y1, relu1_cache = relu_forward(a1)
    y3, relu3_cache = relu_forward(a3)
    out = np.concatenate([y1, y3], axis=1)
    cache = (squeeze_cache, relus_cache, cache1, cache3, relu1_cache, relu3_cache)
    return out, cache


def fire_backward(dout, cache):
    squeeze_cache, relus_cache, cache1, cache3, relu1_cache, relu3_cache = cache
    F1 = cache1[1].shape[0]
    d1 = relu_backward(dout[:, :F1], relu1_cache)
    d3 = relu_backward(dout[:, F1:], relu3_cache)
    ds1, dw1, db1 = conv_backward_naive(d1, cache1)
    ds3, dw3, db3 = conv_backward_naive(d3, cache3)
    ds = ds1 + ds3
    da = relu_backward(ds, relus_cache)
    dx, dws, dbs = conv_backward_naive(da, squeeze_cache)
    return dx, dws, dbs, dw1, db1, dw3, db3
