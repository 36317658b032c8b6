"""Right gradients in every form that gradcheck takes, many of them at kinks: each case is a check."""

import numpy as np
import torch
from torch.nn import functional

import npgrad

torch.set_num_threads(1)  # the functions are small


def rng():
    return np.random.default_rng(3)


def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    return dy * (x > 0)


def relu_at_zero():
    x = rng().normal(size=(3, 4))
    x[0] = 0
    return npgrad.gradcheck(relu, x, backward=relu_backward)


def relu_at_zero_only():
    return npgrad.gradcheck(relu, np.zeros((2, 3)), backward=relu_backward)


def relu_of_a_step_from_zero():
    return npgrad.gradcheck(relu, np.array([[1e-7, -1e-7, 1e-5, 2.0]]), backward=relu_backward)


def absolute_value():
    """Its complex step is 0, which is seen."""
    x = np.array([0.0, 1.0, -2.0, 1e-4])
    return npgrad.gradcheck(lambda x: (np.abs(x).sum(), np.sign(x)), x)


def clipped_at_the_limit():
    x = np.array([-1.0, 0.5, 1.0, 2.0])
    return npgrad.gradcheck(lambda x: (np.clip(x, -1, 1), x), x, backward=lambda dy, x: dy * (abs(x) < 1))


def largest_of_ties():
    def forward(x):
        return x.max(1), (x.argmax(1), x.shape)

    def backward(dy, cache):
        dx = np.zeros(cache[1])
        dx[np.arange(len(dy)), cache[0]] = dy
        return dx

    return npgrad.gradcheck(forward, np.array([[1.0, 1.0, 0.0], [3.0, 2.0, 1.0]]), backward=backward)


def hinge_loss_at_the_margin():
    def loss(scores, weight):
        margins = np.maximum(0, scores @ weight - 1)
        slope = (margins > 0).astype(float)
        return margins.sum(), {"x": slope @ weight.T, "dweight": scores.T @ slope}

    scores = np.array([[1.0, 0.0], [0.5, 2.0], [0.3, -1.0]])
    return npgrad.gradcheck(loss, scores, parameters={"weight": np.array([[1.0, 2.0], [0.5, 1.0]])})


def torch_relu_at_zero():
    return npgrad.gradcheck(torch.relu, np.array([0.0, 1.0, -1.0]), to=torch.from_numpy)


def torch_pool_of_ties():
    x = rng().integers(0, 2, (1, 2, 4, 4)).astype(float)
    return npgrad.gradcheck(lambda x: functional.max_pool2d(x, 2), x, to=torch.from_numpy)


def torch_convolution():
    x, weight = rng().normal(size=(2, 3, 5, 5)), rng().normal(size=(4, 3, 3, 3))
    return npgrad.gradcheck(functional.conv2d, x, parameters={"weight": weight}, to=torch.from_numpy)


def norm():
    """A real function of complex numbers, if they are not refused: differences are taken."""

    def loss(x):
        value = np.linalg.norm(x)
        return value, x / value

    return npgrad.gradcheck(loss, rng().normal(size=(3, 4)))


def dropout_of_the_global_generator():
    def forward(x):
        mask = np.random.rand(*x.shape) < 0.7  # noqa: NPY002
        return x * mask / 0.7, mask

    return npgrad.gradcheck(forward, rng().normal(size=(4, 5)), backward=lambda dy, mask: dy * mask / 0.7)


def single_precision():
    def forward(x, w):
        x, w = x.astype(np.float32), w.astype(np.float32)
        return x @ w, (x, w)

    def backward(dy, cache):
        return dy.astype(np.float32) @ cache[1].T, cache[0].T @ dy.astype(np.float32)

    x, w = rng().normal(size=(3, 4)), rng().normal(size=(4, 2))
    return npgrad.gradcheck(forward, x, backward=backward, parameters={"w": w})


class Dense:
    """An object with a cache and gradients among its attributes."""

    def __init__(self):
        self.W, self.b, self.cache = rng().normal(size=(4, 3)), rng().normal(size=3), None

    def forward(self, x):
        self.cache = x
        return np.tanh(x @ self.W + self.b)

    def backward(self, dy):
        dz = dy * (1 - np.tanh(self.cache @ self.W + self.b) ** 2)
        self.dW, self.grads = self.cache.T @ dz, {"b": dz.sum(0)}
        return dz @ self.W.T


def an_object():
    return npgrad.gradcheck(Dense(), rng().normal(size=(5, 4)), parameters=["W", "b"])


def labels_are_constants():
    def loss(scores, labels, rate):
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        dx = p.copy()
        dx[np.arange(len(labels)), labels] -= 1
        return -rate * np.log(p[np.arange(len(labels)), labels]).sum(), rate * dx

    return npgrad.gradcheck(
        loss, rng().normal(size=(4, 3)), parameters={"labels": np.array([0, 2, 1, 1]), "rate": 0.5}
    )


def median_of_ties():
    def forward(x):
        order = np.argsort(x, axis=1)
        return np.take_along_axis(x, order, 1)[:, 1], (order[:, 1], x.shape)

    def backward(dy, cache):
        dx = np.zeros(cache[1])
        dx[np.arange(len(dy)), cache[0]] = dy
        return dx

    return npgrad.gradcheck(forward, np.array([[2.0, 2.0, 2.0], [1.0, 5.0, 3.0]]), backward=backward)


AT_KINKS = [
    relu_at_zero, relu_at_zero_only, absolute_value, clipped_at_the_limit, largest_of_ties, hinge_loss_at_the_margin,
    torch_relu_at_zero, torch_pool_of_ties, median_of_ties,
]  # fmt: skip
CASES = [
    *AT_KINKS, relu_of_a_step_from_zero, torch_convolution, norm, dropout_of_the_global_generator, single_precision,
    an_object, labels_are_constants,
]  # fmt: skip
