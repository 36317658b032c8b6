"""A network with its classes, preprocessing and layer names."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgrad import _passes as passes
from npgrad import config
from npgrad._described import Described
from npgrad._outputs import KINDS, probabilities
from npgrad._parallel import threads as parallel
from npgrad._parallel.batch_tape import BatchTape
from npgrad._targets import class_logits
from npgrad._typing import Array, ImageLike, Layers, Path, Rng
from npgrad._validate import check_input, one_of, warn_of_unit_range
from npgrad.errors import InputError, TooSmall
from npgrad.images.preprocessing import Preprocessing
from npgrad.images.seen import warn_unless_drawn
from npgrad.layers import Composite, Layer, Sequential
from npgrad.tape import INPUT, Tape


@dataclass(frozen=True, eq=False)
class Model(Described):
    """A network with its classes and preprocessing. ``model(x)`` returns its outputs, ``model.forward(x)`` a tape.

    Parameters
    ----------
    network : Layer
        Takes x (N, C, H, W), float32 for work or float64 for checks, and returns logits (N, classes).
    classes : sequence of str or None
        The names of the classes, in the order of the outputs; for a network with one output, the names of the negative
        and of the positive class.
    preprocessing : Preprocessing or None
        None: ImageNet's, or gray from 0 to 1 for a network of one channel.
    architecture : dict or None
        {"name", "options"} of a network that npgrad can build.
    aliases : dict
        {other name: layer's own name}.
    source : dict
        The origin, SHA-256 and license of the weights.
    default_layer : str or None
        Where activation maps are made by default; see `map_layer`.
    presets : tuple of str
        Names of the style transfer presets that are tuned for this network.
    outputs : {"logits", "scores", "probabilities", "log-probabilities", "value", "features"} or None
        Scores of exclusive classes; scores of independent classes, or one score, of class 1 against class 0; their
        probabilities or logarithms; values of a regression; or features, of a network without its classifier. None: as
        the last layers say. Attributions then explain the scores before a final Softmax, LogSoftmax or Sigmoid.

    Examples
    --------
    >>> import npgrad, numpy as np
    >>> model = npgrad.models.squeezenet1_1(num_classes=10)
    >>> model(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 10)
    """

    network: Layer
    classes: Sequence[str] | None = None
    preprocessing: Preprocessing = None  # type: ignore[assignment]
    architecture: dict[str, Any] | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    default_layer: str | None = None
    presets: tuple[str, ...] = ()
    outputs: str | None = None

    def __post_init__(self):
        if not isinstance(self.network, Layer):
            raise InputError(f"Model: expected a layer, found {type(self.network).__name__}")
        if not isinstance(self.network, Composite):
            object.__setattr__(self, "network", Sequential({"layer": self.network}))
        if self.outputs is not None:
            one_of(self.outputs, "outputs", KINDS)
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(map(str, self.classes)))
            self._check_count()
        for name in (*self.layer_names(), *(self.classes or ())):
            if not name.isprintable():  # names are printed; a file's could contain terminal escape codes
                raise InputError(
                    f"names of layers and classes: expected printable characters, found {name!r}"
                )
        if self.preprocessing is None:
            channels = "gray" if self.in_channels == 1 else "RGB"
            object.__setattr__(self, "preprocessing", Preprocessing(channels=channels))
        if self.default_layer is not None:
            if self.default_layer not in (*self.layer_names(), *self.aliases):
                raise InputError(
                    f"default_layer: expected a layer of this network or None, found {self.default_layer!r}"
                )
            object.__setattr__(self, "default_layer", self.resolve(self.default_layer))

    def __call__(self, x: Array) -> Array:
        """The outputs of x (N, C, H, W), usually logits (N, classes); nothing of the pass is kept."""
        x = check_input(x, self._largest_input())
        config.tell_allocator()
        with self._saying_what_fits(x):
            parts = parallel.thread_map(lambda rows: self.network(x[rows]), parallel.split_batch(x))
            return np.concatenate(parts)

    def forward(
        self,
        x: Array,
        upto: str | None = None,
        training: bool = False,
        rng: Rng = None,
        whole: bool = False,
        keep: Layers | None = None,
    ) -> Tape:
        """Run the network and record the pass.

        Parameters
        ----------
        x : ndarray (N, C, H, W)
            Preprocessed images, as `preprocess` returns them.
        upto : str or None
            The last layer to run. None: all layers.
        training : bool, default False
            Run dropout and BatchNorm in training mode; `Tape.statistics` has BatchNorm's new running statistics.
        rng : numpy.random.Generator, int or None
            The random generator, or its seed, for the dropout masks. Required in training mode
            if the network has dropout.
        whole : bool, default False
            Run a large batch in one piece; by default it runs in parts on all cores, equal up to rounding.
        keep : str, sequence of str, or None
            Layers whose outputs the tape keeps. None: all. ``keep=()`` is enough for a gradient and saves a third of
            the memory; rules then see records without x and y.

        Returns
        -------
        Tape

        Raises
        ------
        InputError, UnknownName
            x is not numeric, not finite, or of the wrong shape; there is no such layer.
        """
        upto = None if upto is None else self.resolve(upto)
        if upto == INPUT:
            raise InputError("upto: expected a layer to run up to, found 'input'")
        if keep is not None:
            keep = {self.resolve(name) for name in ((keep,) if isinstance(keep, str) else keep)}
        x = check_input(x, self._largest_input())
        config.tell_allocator()

        def run(x):
            return Tape(self.network, x, upto, training, rng, self.aliases, keep)

        rows = parallel.split_batch(x)
        with self._saying_what_fits(x):
            return run(x) if whole or training or len(rows) == 1 else BatchTape(run, x, rows)

    def preprocess(self, images: ImageLike | Sequence[ImageLike], resize: bool = True) -> Array:
        """Return images as the network's input.

        Parameters
        ----------
        images : path, PIL image, uint8 ndarray (H, W, 3), or a list of them
        resize : bool, default True
            Resize the shorter side to ``preprocessing.resize`` px and crop the center ``preprocessing.crop`` px, as
            torchvision does, to the pixel. False: keep the images at their size, which must be the same for all.

        Returns
        -------
        ndarray (N, C, H, W), float32

        Raises
        ------
        ImageError
            An image cannot be read or used.
        """
        if resize:
            warn_unless_drawn(self, images)
        return self.preprocessing.apply(images, resize=resize)

    def deprocess(self, x: Array) -> Array:
        """Return the images of an input; the inverse of `preprocess`.

        Parameters
        ----------
        x : ndarray (N, C, H, W)

        Returns
        -------
        ndarray (N, H, W, 3), uint8, in RGB, clipped and rounded
        """
        return self.preprocessing.invert(x)

    def predict(
        self, images: ImageLike | Sequence[ImageLike], top: int = 5
    ) -> list[list[tuple[int, str, float]]]:
        """Return the `top` most probable classes of each image, or the values that the network outputs.

        Parameters
        ----------
        images : as for `preprocess`, or a float ndarray (N, C, H, W) that is preprocessed already
        top : int, default 5

        Returns
        -------
        list of list of (index, name, probability)
            One list per image, in descending order of probability, which is the network's own where it ends in Softmax,
            LogSoftmax or Sigmoid. With outputs "value", (index, name, value) of all outputs in their order.

        Raises
        ------
        InputError
            The outputs are maps (N, C, H, W), or their number differs from that of the class names.
        """
        ready = isinstance(images, np.ndarray) and images.dtype.kind == "f"
        if ready:
            warn_of_unit_range(images, self._largest_input())
        outputs = self(images if ready else self.preprocess(images))
        if not self.has_classes:
            outputs = class_logits(self, outputs)
            best = np.broadcast_to(np.arange(outputs.shape[1]), outputs.shape)
        else:
            outputs = probabilities(self, outputs)
            best = np.argsort(-outputs, axis=1, kind="stable")[:, :top]
        return [
            [(int(i), self.class_name(i), float(row[i])) for i in order]
            for row, order in zip(outputs, best, strict=True)
        ]

    def map_layer(self, tape: Tape | None, layer: str | None = None) -> str:
        """Return the layer at which activation maps are made: `layer`, else `default_layer`, else by structure.

        By structure, it is the last output with a spatial size; before the classifier, if the last layer with weights
        is a convolution with one filter per output of the network.

        Parameters
        ----------
        tape : Tape or None
            A pass, for the shapes; not needed if the layer is known.
        layer : str or None
            A layer's name or alias.

        Returns
        -------
        str

        Raises
        ------
        InputError, UnknownName
            No layer has a spatial size; there is no layer `layer`.
        """
        if layer is not None or self.default_layer is not None:
            return self.resolve(self.default_layer if layer is None else layer)
        return passes.last_spatial_layer(tape)

    @contextmanager
    def _saying_what_fits(self, x):
        """If an image is too small, add the smallest size that works to the error message."""
        try:
            yield
        except TooSmall as error:
            side = next((side for side in range(1, 129) if self._fits(x.shape[1], side)), None)
            raise TooSmall(
                f"{error}; this network takes images of at least {side}x{side} px" if side else error
            ) from None

    def _largest_input(self):
        """The network's input for white, in its largest channel."""
        seen = self.preprocessing
        return max((1 - mean) / std for mean, std in zip(seen.pixel_mean, seen.pixel_std, strict=True))

    def _fits(self, channels, side):
        with suppress(InputError):
            self.network(np.zeros((1, channels, side, side), np.float32))
            return True
        return False

    def save(self, path: Path) -> None:
        """Write the model to an .h5 file, which ``npgrad.load(path)`` reads; completely or not at all.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        InputError
            The file cannot be written, or the network has layers of your own.
        """
        from npgrad.io.formats import hdf5

        hdf5.save(self, path)

    def __repr__(self):
        name = self.architecture["name"] if self.architecture else type(self.network).__name__
        count = sum(array.size for array in self.parameters().values())
        named = f"{len(self.classes)} named" if self.classes else "unnamed"
        kind = "classes" if self.has_classes else "outputs"
        return f"Model({name}, {count:,} parameters, {named} {kind})"
