"""What a layer is.

    y, cache = layer.forward(x)                      # cache: what backward will need of the forward pass
    dx = layer.backward(dy, cache)                   # dy = d loss / d y   ->   dx = d loss / d x
    grads = layer.parameter_gradients(dy, cache)     # {"weight": d loss / d weight, ...}

A layer holds its weights and nothing else: what a pass computed lives in the cache, so any number of
passes can be alive at once. Layers are frozen dataclasses; a changed copy is `dataclasses.replace(layer, ...)`.
Gradients are called `d` + the forward name, always.
"""

import dataclasses

import numpy as np

from npgrad.errors import InputError

PIXEL = ((1, 1), (1, 1), (0, 0))  # the receptive field of a layer that treats every pixel by itself


class Layer:
    """A function with a hand-written derivative. The module's docstring is the protocol."""

    parameter_names = ()  # arrays that are trained
    buffer_names = ()  # arrays that are kept with them (BatchNorm's running statistics)
    has_training_mode = False  # forward takes training= and rng=

    def __call__(self, x):
        """The output alone: nothing is kept."""
        return self.forward(x)[0]

    def forward(self, x):
        """Return (y, cache)."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def backward(self, dy, cache):
        """Return dx, of the shape of x."""
        raise TypeError(f"{type(self).__name__} has no backward")

    def parameter_gradients(self, dy, cache):
        """Return {parameter name: gradient}; empty for a layer without parameters."""
        return {}

    def receptive_field(self):
        """(kernel, stride, padding), each (height, width), of the windows through which it sees an image.

        None: it sees the image as a whole, or this is not known.
        """

    def arrays(self, buffers=False):
        """The parameters by name, and with `buffers` the buffers too."""
        names = self.parameter_names + (self.buffer_names if buffers else ())
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def map_arrays(self, function):
        """A copy whose every parameter and buffer is `function(name, array)`."""
        new = {name: function(name, array) for name, array in self.arrays(buffers=True).items()}
        return dataclasses.replace(self, **new) if new else self

    def _freeze(self, name, array):
        """Set a field of this frozen dataclass to a read-only view of `array`."""
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)


def he_normal(shape, rng=0, dtype=np.float32):
    """Weights of `shape` (F, C, KH, KW) or (F, C), normal with variance 2 / fan_in.

    So drawn, the activations of a deep ReLU network keep their size from layer to layer
    (He, Zhang, Ren, Sun 2015, equation 10).
    """
    if not all(isinstance(side, (int, np.integer)) and side >= 1 for side in shape):
        raise InputError(f"weights of shape {tuple(shape)}: expected whole numbers >= 1")
    fan_in = int(np.prod(shape[1:]))
    draw = np.random.default_rng(rng).standard_normal(shape)
    return (draw * np.sqrt(2 / fan_in)).astype(dtype)
