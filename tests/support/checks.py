"""The comparisons that decide about right and wrong in the tests of layers and networks.

test_wrong_gradients.py makes each of them fail on a gradient that is off by 0.1 %.
"""

import numpy as np
import torch

torch.set_num_threads(1)  # there are as many workers as cores


def assert_close(found, expected, rtol, name="result"):
    """The largest difference is at most `rtol` times the largest number expected; NaN is never close."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{name}: shape {found.shape}, expected {expected.shape}"
    difference = np.abs(found - expected).max(initial=0)
    scale = np.abs(expected).max(initial=0)
    assert difference <= rtol * scale, f"{name}: off by {difference:.3g}, the largest number is {scale:.3g}"


def assert_rounding(found, expected, additions, scale=None, name="result"):
    """Two ways to add up the same terms agree: other BLAS kernels, numbers of threads, sizes of batches.

    The last bits of a matrix product depend on all three, so nobody can promise equal bits between them. The
    rounding errors of n additions are of either sign and grow like eps * sqrt(n), eps being that of the dtype
    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 2.8); twice that is allowed, as a
    share of the largest number expected, or of `scale` where the result is a difference of larger numbers.

    additions: how many terms go into one value, see `additions_in`.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype, f"{name}: dtype {found.dtype}, expected {expected.dtype}"
    assert found.shape == expected.shape, f"{name}: shape {found.shape}, expected {expected.shape}"
    scale = np.abs(expected).max(initial=0) if scale is None else scale
    difference = np.abs(found - expected).max(initial=0)
    allowed = 2 * np.finfo(found.dtype).eps * np.sqrt(additions) * scale
    assert difference <= allowed, f"{name}: off by {difference:.3g}, rounding explains {allowed:.3g}"


def additions_in(model):
    """The terms that one value of a forward and backward pass adds up: the fan-ins of all layers, twice."""
    weights = (array for name, array in model.parameters().items() if name.endswith("weight"))
    return 2 * sum(array[0].size for array in weights)


def assert_all_close(found, expected, rtol):
    """`assert_close` for every array of two dicts with the same names."""
    assert sorted(found) == sorted(expected)
    for name in expected:
        assert_close(found[name], expected[name], rtol, name)


def same_bits(found, expected):
    """True if two dicts of arrays have the same names, types, shapes and numbers to the last bit."""
    return found.keys() == expected.keys() and all(
        found[name].dtype == expected[name].dtype and np.array_equal(found[name], expected[name])
        for name in expected
    )


def input_names(case):
    """The names under which the gradients of a case's inputs go: dx, or dx[0], dx[1] ..."""
    return [f"dx[{i}]" for i in range(len(case.shapes))] if case.many else ["dx"]


def dy_at(tape, name, seed=0):
    """A random upstream gradient for a layer's output."""
    return np.random.default_rng(seed).normal(size=tape[name].shape)


def random_dy(case, layer, xs):
    """A random upstream gradient: ones would not see a permuted gradient."""
    y, _ = layer.forward(case.pack(xs), **case.options)
    return np.random.default_rng(3).normal(size=y.shape).astype(y.dtype)


def run_npgrad(case, layer, xs, dy):
    """{"y": output, "dx": ..., "dweight": ...}"""
    y, cache = layer.forward(case.pack(xs), **case.options)
    dx = layer.backward(dy, cache)
    gradients = layer.parameter_gradients(dy, cache)
    return {
        "y": y,
        **dict(zip(input_names(case), dx if case.many else [dx], strict=True)),
        **{f"d{name}": gradient for name, gradient in gradients.items()},
    }


def run_torch(case, layer, xs, dy):
    """The same from torch, in float64."""
    xs = [torch.tensor(np.array(x), dtype=torch.float64, requires_grad=True) for x in xs]
    trained = {name: to_leaf(array) for name, array in layer.arrays().items()}
    arrays = {name: torch.tensor(np.array(array)) for name, array in layer.arrays(buffers=True).items()}
    y = case.torch(case.pack(xs), {**arrays, **trained})
    leaves = dict(zip(input_names(case), xs, strict=True))
    leaves.update({f"d{name}": tensor for name, tensor in trained.items()})
    gradients = torch.autograd.grad(y, list(leaves.values()), torch.tensor(np.array(dy)))
    return {"y": y.detach().numpy(), **dict(zip(leaves, (g.numpy() for g in gradients), strict=True))}


def to_leaf(array):
    """A copy of an array as a torch tensor that gets a gradient."""
    return torch.tensor(np.array(array), requires_grad=True)


def check_against_torch(case, layer, xs, rtol=1e-10):
    """Output, dx and parameter gradients are torch's."""
    dy = random_dy(case, layer, xs)
    assert_all_close(run_npgrad(case, layer, xs, dy), run_torch(case, layer, xs, dy), rtol)


def check_complex_step(case, layer, xs):
    """dx and parameter gradients are the derivatives that a step of 1e-20 along the imaginary axis gives.

    f(x + ih)/h has the derivative in its imaginary part, with no difference taken and so no digits lost.
    The inputs must be away from ties and zeros.
    """
    check_directions(case, layer, xs)
    check_entries(case, layer, xs, at_most=100)


def check_directions(case, layer, xs, only=None, rtol=1e-12):
    """Complex steps along three random directions: each sees every entry of a gradient.

    `only` names the one gradient to check.
    """
    dy, rng = random_dy(case, layer, xs), np.random.default_rng(4)
    gradients = run_npgrad(case, layer, xs, dy)
    for name, array in _moved_arrays(case, layer, xs, only).items():
        for direction in rng.normal(size=(3, *array.shape)):
            slope = _slope(case, layer, xs, dy, name, direction)
            terms = gradients[name] * direction
            assert abs(terms.sum() - slope) <= rtol * np.abs(terms).sum(), f"{name}: off along a direction"


def check_entries(case, layer, xs, only=None, at_most=None, rtol=1e-12):
    """Complex steps of one entry at a time: of all, or of `at_most` random ones of an array."""
    dy, rng = random_dy(case, layer, xs), np.random.default_rng(4)
    gradients = run_npgrad(case, layer, xs, dy)
    for name, array in _moved_arrays(case, layer, xs, only).items():
        scale = np.abs(gradients[name]).max()
        for entry in rng.permutation(array.size)[:at_most]:
            direction = np.zeros(array.shape)
            direction.flat[entry] = 1
            slope, found = _slope(case, layer, xs, dy, name, direction), gradients[name].flat[entry]
            assert abs(found - slope) <= rtol * scale, f"{name}, entry {entry}: {found}, expected {slope}"


def _moved_arrays(case, layer, xs, only):
    """The inputs and parameters under their gradients' names."""
    parameters = {f"d{name}": array for name, array in layer.arrays().items()}
    arrays = {**dict(zip(input_names(case), xs, strict=True)), **parameters}
    return arrays if only is None else {only: arrays[only]}


def _slope(case, layer, xs, dy, name, direction, h=1e-20):
    """d sum(dy * y) / d (the array `name`) along a direction."""
    xs = [x.astype(complex) for x in xs]
    if name in input_names(case):
        i = input_names(case).index(name)
        xs[i] = xs[i] + 1j * h * direction
    else:
        layer = layer.map_arrays(lambda key, own: own + 1j * h * direction if f"d{key}" == name else own)
    y, _ = layer.forward(case.pack(xs), **case.options)
    return (dy * y).sum().imag / h
