"""A network together with what belongs to it: classes, preprocessing, names."""

import dataclasses
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from npgrad import config
from npgrad._parallel import threads as parallel
from npgrad._parallel.batch_tape import BatchTape
from npgrad._targets import find_class
from npgrad._validate import check_input
from npgrad.errors import InputError, TooSmall, unknown
from npgrad.images import Preprocessing
from npgrad.layers import Composite, Conv2d, Dropout, Layer, Sequential
from npgrad.tape import INPUT, Tape


@dataclass(frozen=True, eq=False)
class Model:
    """A network, the names of its classes, and how an image becomes its input.

    `model(x)` gives the logits (N, classes) and keeps nothing; `model.forward(x)` keeps the pass on a tape.
    x is (N, C, H, W), in float32 for work or float64 for checks.

    network: a Layer. classes: a tuple of names, or None. preprocessing: see `npgrad.images.Preprocessing`.
    architecture: {"name", "options"} of a network that npgrad knows how to build, or None. aliases: other
    names for layers. source: what is known of the weights (where from, SHA-256, license).
    """

    network: Layer
    classes: tuple | None = None
    preprocessing: Preprocessing | None = None
    architecture: dict | None = None
    aliases: dict = field(default_factory=dict)
    source: dict = field(default_factory=dict)
    default_layer: str | None = None
    presets: tuple = ()

    def __post_init__(self):
        if not isinstance(self.network, Layer):
            raise InputError(f"Model: expected a layer, found {type(self.network).__name__}")
        if not isinstance(self.network, Composite):
            object.__setattr__(self, "network", Sequential({"layer": self.network}))
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        for name in (*self.layer_names(), *(self.classes or ())):
            if not name.isprintable():  # names are printed; those in a file could command a terminal
                raise InputError(
                    f"names of layers and classes: expected printable characters, found {name!r}"
                )
        if self.preprocessing is None:
            object.__setattr__(self, "preprocessing", Preprocessing())
        if self.default_layer is not None:
            object.__setattr__(self, "default_layer", self.resolve(self.default_layer))

    def __call__(self, x):
        """Logits (N, classes). Nothing of the pass is kept."""
        x = check_input(x)
        config.tell_allocator()
        with self._saying_what_fits(x):
            return np.concatenate(
                parallel.thread_map(lambda rows: self.network(x[rows]), parallel.split_batch(x))
            )

    def forward(self, x, upto=None, training=False, rng=None, whole=False, keep=None):
        """Run the network and keep the pass: a Tape.

        upto: the last layer to run (None: all). training: dropout and BatchNorm act as in training; then
        `rng` draws, and BatchNorm's new statistics are `tape.statistics`. whole: keep a large batch in one piece,
        which otherwise goes through in parts, on all cores (a BatchTape); only the time differs. keep: the layers
        whose outputs the tape will be asked for (None: all), a name or several; a pass for the sake of a gradient
        takes two thirds of the memory with keep=(). Rules then see records without x and y.
        """
        upto = None if upto is None else self.resolve(upto)
        if upto == INPUT:
            raise InputError("upto: expected a layer to run up to, found 'input'")
        if keep is not None:
            keep = {self.resolve(name) for name in ((keep,) if isinstance(keep, str) else keep)}
        x = check_input(x)
        config.tell_allocator()

        def run(x):
            return Tape(self.network, x, upto, training, rng, self.aliases, keep)

        rows = parallel.split_batch(x)
        with self._saying_what_fits(x):
            return run(x) if whole or training or len(rows) == 1 else BatchTape(run, x, rows)

    def preprocess(self, images, resize=True):
        """Images to an input (N, 3, H, W), float32.

        images: a path, a PIL image, a uint8 array (H, W, 3), or a list of them. The shorter side is brought
        to `preprocessing.resize` px and the middle `preprocessing.crop` px are kept; with `resize=False`
        the images stay as they are and must be of one size. ImageError says what cannot be used.
        """
        return self.preprocessing.apply(images, resize=resize)

    def deprocess(self, x):
        """The inverse of `preprocess`: (N, 3, H, W) to images, uint8 (N, H, W, 3)."""
        return self.preprocessing.invert(x)

    def predict(self, images, top=5):
        """For each image the `top` likeliest classes: a list of (index, name, probability) per image.

        images: as for `preprocess`, or an input array (N, 3, H, W) of floats.
        """
        ready = isinstance(images, np.ndarray) and images.dtype.kind == "f"
        logits = self(images if ready else self.preprocess(images)).astype(np.float64)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = e / e.sum(axis=1, keepdims=True)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return [
            [(int(i), self.class_name(i), float(row[i])) for i in order]
            for row, order in zip(probabilities, best, strict=True)
        ]

    def class_name(self, index):
        """The name of a class, or "class 17" where there is no name for it."""
        return self.classes[index] if index < len(self.classes or ()) else f"class {index}"

    def class_index(self, target):
        """The index of a class given by index or name; TargetError or UnknownName says what is wrong."""
        names = self.classes or [f"class {i}" for i in range(self.num_classes)]
        return find_class(target, names, self.source.get("wordnet_ids", ()))

    @property
    def num_classes(self):
        """How many classes the network tells apart, as far as its names, options or last weights tell."""
        if self.classes:
            return len(self.classes)
        if self.architecture:
            return self.architecture["options"]["num_classes"]
        weights = [array for array in self.parameters().values() if array.ndim > 1]
        return len(weights[-1]) if weights else 0

    def layer_names(self):
        """Every layer's name in the order of running; a composite stands after its parts."""
        return [name for name, _ in walk_layers(self.network)]

    def layer(self, name):
        """The layer of this name."""
        return dict(walk_layers(self.network))[self.resolve(name)]

    def resolve(self, name):
        """The layer's own name for a name or an alias; UnknownName lists the nearest."""
        own = self.aliases.get(name, name)
        names = self.layer_names()
        if own != INPUT and own not in names:
            raise unknown("layer", name, [*names, *self.aliases])
        return own

    def map_layer(self, tape, layer=None):
        """The layer at which activation maps are made: `layer`, else `default_layer`, else by the network's structure.

        That is the last output with a spatial size before the classifier: before the last layer with weights, if that
        is a convolution with one filter for each of the network's outputs, else before the end.
        """
        if layer is not None or self.default_layer is not None:
            return self.resolve(self.default_layer if layer is None else layer)
        records = [record for record in tape.parts[0] if not isinstance(record.layer, Dropout)]
        spatial = [record.name for record in records if record.y.ndim == 4 and max(record.y.shape[2:]) > 1]
        if not spatial:
            raise InputError("layer: expected a network with a layer that has a spatial size, found none")
        names = [record.name for record in records]
        weighted = [record for record in records if record.layer.parameter_names]
        if (
            weighted
            and isinstance(weighted[-1].layer, Conv2d)
            and len(weighted[-1].layer.weight) == tape.output.shape[1]
        ):
            before = names[: names.index(weighted[-1].name)]
            spatial = [name for name in spatial if name in before] or spatial
        return spatial[-1]

    def parameters(self):
        """What is trained, by name: {"conv1.weight": array, ...}, read-only."""
        return self.network.arrays()

    def with_parameters(self, arrays):
        """A copy in which the parameters (or BatchNorm's statistics) named in `arrays` are replaced."""
        own = self.network.arrays(buffers=True)
        for name, array in arrays.items():
            if name not in own:
                raise unknown("parameter", name, own)
            if np.shape(array) != own[name].shape:
                raise InputError(f"{name}: expected shape {own[name].shape}, found {np.shape(array)}")
        network = self.network.map_arrays(lambda name, array: arrays.get(name, array))
        return dataclasses.replace(self, network=network)

    def astype(self, dtype):
        """A copy whose weights are float32 or float64."""
        network = self.network.map_arrays(lambda name, array: array.astype(dtype))
        return dataclasses.replace(self, network=network)

    @contextmanager
    def _saying_what_fits(self, x):
        """Where an image is too small, find out which size would do."""
        try:
            yield
        except TooSmall as error:
            side = next((side for side in range(1, 129) if self._fits(x.shape[1], side)), None)
            hint = f"; this network takes images from {side}x{side} px" if side else ""
            raise TooSmall(f"{error}{hint}") from None

    def _fits(self, channels, side):
        try:
            self.network(np.zeros((1, channels, side, side), np.float32))
        except InputError:
            return False
        return True

    def save(self, path):
        """Write the model to one .h5 file, whole or not at all; `npgrad.load(path)` reads it."""
        from npgrad.io.formats import hdf5

        hdf5.save(self, path)

    def __repr__(self):
        name = self.architecture["name"] if self.architecture else type(self.network).__name__
        count = sum(array.size for array in self.parameters().values())
        classes = f"{len(self.classes)} named classes" if self.classes else "unnamed classes"
        return f"Model({name}, {count:,} parameters, {classes})"


def walk_layers(layer, prefix=""):
    """(name, layer) of every part of a composite, inner parts first."""
    for name, part in layer.parts().items():
        if isinstance(part, Composite):
            yield from walk_layers(part, f"{prefix}{name}.")
        yield prefix + name, part
