"""Looking up a model's classes, layers and parameters, and making changed copies of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from npgrad._heads import kind_of, output_count
from npgrad._passes import INPUT
from npgrad._targets import find_class
from npgrad._typing import Array
from npgrad.errors import InputError, unknown
from npgrad.images.preprocessing import Preprocessing
from npgrad.layers import BatchNorm2d, Composite, Conv2d, Layer
from npgrad.layers.base import frozen
from npgrad.layers.composite import walk_layers

M = TypeVar("M", bound="Described")


class Described:
    """The part of `Model` that looks up names and makes changed copies; the fields belong to `Model`."""

    network: Layer
    classes: Any
    preprocessing: Preprocessing
    architecture: dict[str, Any] | None
    aliases: dict[str, str]
    source: dict[str, Any]
    outputs: str | None

    def class_name(self, index: int) -> str:
        """Return the name of a class, or "class 17" if it has none; of a value "output 17".

        Parameters
        ----------
        index : int

        Returns
        -------
        str
        """
        kind = "class" if self.has_classes else "output"
        return self.classes[index] if index < len(self.classes or ()) else f"{kind} {index}"

    def class_index(self, target: int | str) -> int:
        """Return the index of a class.

        Parameters
        ----------
        target : int or str
            Its index or name.

        Returns
        -------
        int

        Raises
        ------
        TargetError, UnknownName
            The index is out of range, or several classes match the name; no class has this name.
        """
        names = self.classes or [self.class_name(i) for i in range(self.num_classes)]
        return find_class(target, names, self.source.get("wordnet_ids", ()))

    @property
    def num_classes(self) -> int:
        """The number of classes (or values), from their names, the last layers, the options, or the last weights.

        A network with one output, unless it is a value, has two: the negative class 0 and the positive class 1.
        """
        if self.classes:
            return len(self.classes)
        count = output_count(self.network)
        if count is None and self.architecture:
            count = int(self.architecture["options"]["num_classes"])
        weights = [array for array in self.parameters().values() if array.ndim > 1]
        count = count or (len(weights[-1]) if weights else 0)
        return 2 if count == 1 and self.has_classes else count

    def _check_count(self):
        """Refuse class names that are more or fewer than the classes, where the last layers say how many these are."""
        count, pair = output_count(self.network), ""
        if count == 1 and self.has_classes:
            count, pair = 2, " for one output, of the negative and the positive class"
        if count not in (None, len(self.classes)):
            raise InputError(f"classes: expected {count} names{pair}, found {len(self.classes)}")

    @property
    def has_classes(self) -> bool:
        """Whether the outputs are scores or probabilities of classes, not values or features."""
        return self.outputs not in ("value", "features")

    @property
    def output_kind(self) -> str:
        """The kind of the outputs: "logits", "scores", "probabilities", "log-probabilities", "value" or "features".

        `outputs` if that was given; otherwise what the last layers say.
        """
        return self.outputs or kind_of(self.network)

    @property
    def in_channels(self) -> int | None:
        """The number of channels that the first layer with weights takes; None if it does not take images."""
        for _, layer in walk_layers(self.network):
            if isinstance(layer, Conv2d):
                return int(layer.weight.shape[1] * layer.groups)
            if layer.arrays() and not isinstance(layer, Composite):
                return len(layer.weight) if isinstance(layer, BatchNorm2d) else None
        return None

    def layer_names(self) -> list[str]:
        """Return the names of all layers in execution order; a composite comes after its parts."""
        return [name for name, _ in walk_layers(self.network)]

    def layer(self, name: str) -> Layer:
        """Return the layer with this name.

        Parameters
        ----------
        name : str
            The layer's name or alias.

        Returns
        -------
        Layer

        Raises
        ------
        UnknownName
            There is no such layer; the message lists the nearest names.
        """
        return dict(walk_layers(self.network))[self.resolve(name)]

    def resolve(self, name: str) -> str:
        """Return the layer's own name.

        Parameters
        ----------
        name : str
            The layer's name or alias, or "input".

        Returns
        -------
        str

        Raises
        ------
        UnknownName
            There is no such layer; the message lists the nearest names.
        """
        if not isinstance(name, str):
            raise InputError(f"layer: expected one name, found {type(name).__name__} {name!r:.60}")
        own = self.aliases.get(name, name)
        names = self.layer_names()
        if own != INPUT and own not in names:
            raise unknown("layer", name, [*names, *self.aliases])
        return own

    def parameters(self) -> dict[str, Array]:
        """Return the trained arrays by name, ``{"conv1.weight": array, ...}``, read-only."""
        return self.network.arrays()

    def with_parameters(self: M, arrays: Mapping[str, Array]) -> M:
        """Return a copy with other parameters or running statistics.

        Parameters
        ----------
        arrays : dict of ndarray
            The arrays to replace, by name.

        Returns
        -------
        Model

        Raises
        ------
        InputError, UnknownName
            An array's shape differs from the parameter's; there is no such parameter.
        """
        own = self.network.arrays(buffers=True)
        for name, array in arrays.items():
            if name not in own:
                raise unknown("parameter", name, own)
            if np.shape(array) != own[name].shape:
                raise InputError(f"{name}: expected shape {own[name].shape}, found {np.shape(array)}")
        source = {
            key: value for key, value in self.source.items() if key != "knows"
        }  # other weights, maybe trained
        changed = self._with_arrays(lambda name, array: arrays.get(name, array))
        return dataclasses.replace(changed, source=source)

    def astype(self: M, dtype: Any) -> M:
        """Return a copy with weights of another dtype.

        Parameters
        ----------
        dtype : dtype
            float32 for work, float64 for checks.

        Returns
        -------
        Model
        """
        return self._with_arrays(lambda name, array: frozen(array.astype(dtype, copy=False)))

    def with_preprocessing(self: M, preprocessing: Preprocessing | None = None, **changes: Any) -> M:
        """Return a copy that converts images in another way, for example ``model.with_preprocessing(channels="BGR")``.

        Parameters
        ----------
        preprocessing : Preprocessing or None, default None
            None: the model's own.
        **changes
            Values that differ from it, as for `Preprocessing.changed`: mean, std and scale belong together; of these,
            what is not given becomes 0, 1 and 1/255.

        Returns
        -------
        Model

        Raises
        ------
        InputError
            A value is invalid, or the network takes another number of channels.
        """
        preprocessing = (self.preprocessing if preprocessing is None else preprocessing).changed(**changes)
        expected, found = self.in_channels, len(preprocessing.mean)
        if expected not in (None, found):
            raise InputError(
                f"preprocessing: channels: expected {expected}, as the network takes; found {preprocessing.channels} "
                f"({found})"
            )
        return dataclasses.replace(self, preprocessing=preprocessing)  # type: ignore[type-var]

    def _with_arrays(self, function):
        return dataclasses.replace(self, network=self.network.map_arrays(function))

    def _repr_html_(self) -> str:
        from npgrad.display.tables import model_html

        return model_html(self)
