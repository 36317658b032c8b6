"""The objective of class visualization: the score of a class, or the activation of a channel or a neuron."""

import warnings
from dataclasses import dataclass

import numpy as np

from npgrad._asked import asked, is_question
from npgrad._outputs import explained
from npgrad._targets import scores
from npgrad._validate import whole_number
from npgrad.errors import InputError, level_outside
from npgrad.layers import ReLU
from npgrad.model import Model
from npgrad.synthesis.scores import score_gradient, waking_gradient
from npgrad.tape import INPUT

TRIES = 20


@dataclass(frozen=True, eq=False)
class Aim:
    """The score of class `target`, or the mean over `place` in a layer's activation.

    place: (channel,) or (channel, row, column). contrast: the weight of the other classes, see
    `create_class_visualization`.
    """

    model: Model
    target: int | None = None
    layer: str | None = None
    place: tuple = ()
    contrast: float = 0.0

    @classmethod
    def at(cls, model, target, layer, channel, neuron, size=(64, 64), contrast=0.0):
        """The Aim for the arguments of `create_class_visualization`; InputError unless there is exactly one."""
        if (target is None) == (layer is None):
            found = "neither" if target is None else "both"
            raise InputError(f"expected a target, or a layer with a channel; found {found}")
        if target is not None:
            if channel is not None or neuron is not None:
                raise InputError("channel and neuron belong to a layer; found a target")
            model = explained(model, declared=True)
            if is_question(model, target):
                model, target = asked(
                    model, np.zeros((1, model.in_channels, *size), float_type(model)), target
                )
                contrast = 0.0
            exclusive = model.has_classes and model.outputs != "scores" and model.num_classes > 2
            return cls(model, target=model.class_index(target), contrast=contrast if exclusive else 0.0)
        place = (whole_number(channel, "channel", 0),)
        if neuron is not None:
            if not isinstance(neuron, (tuple, list)) or len(neuron) != 2:
                raise InputError(f"neuron: expected (row, column), found {neuron!r}")
            place += tuple(whole_number(i, "neuron", 0) for i in neuron)
        layer = model.resolve(layer)
        if layer == INPUT:
            raise InputError("layer: expected a layer of the network, found 'input'")
        return cls(model, layer=layer, place=place)

    def gradient(self, x):
        """(score, d score / d x) of an image x (1, C, H, W).

        Where ReLUs set score and gradient to 0, they pass the gradient on, which gives the direction in which the
        score becomes positive again.
        """
        if self.layer is None:
            return self._class_gradient(x)
        tape = self.model.forward(x, upto=self.layer, keep=self.layer)
        score, dy = self._mean(tape[self.layer])
        dx = tape.backward({self.layer: dy})["input"]
        if score == 0 and not dx.any():
            dx = tape.backward({self.layer: dy}, rules={ReLU: _pass_if_blocked})["input"]
        return score, dx

    def _class_gradient(self, x):
        """The raw score, and the gradient of score - contrast * log(sum of exp(the other classes' scores))."""
        if not self.contrast:
            tape, dx = score_gradient(self.model, x, self.target)
            return scores(self.model, tape.output, self.target)[0], dx
        tape = self.model.forward(x, keep=())
        logits = tape.output.reshape(1, -1)
        others = np.delete(logits, self.target)
        e = np.exp(others - others.max())  # less than the target's score, all could be 0
        dlogits = np.insert(-self.contrast * e / e.sum(), self.target, 1)
        dx = waking_gradient(tape, dlogits.reshape(tape.output.shape), self.target)
        return logits[0, self.target], dx

    def _mean(self, y):
        """The mean of the activation y (1, C, H, W) over the place, and its gradient with respect to y."""
        names = ("channel", "row", "column")[: len(self.place)]
        for name, i, count in zip(names, self.place, y.shape[1:], strict=False):
            if i >= count:
                raise InputError(f"{name}: expected 0 to {count - 1} at {self.layer}, found {i}")
        if len(self.place) > y.ndim - 1:
            raise InputError(f"neuron: {self.layer} has no rows and columns, its output is {y.shape}")
        place = (0, *self.place)
        dy = np.zeros_like(y)
        dy[place] = 1 / y[place].size
        return y[place].mean(), dy

    def settings(self, **more):
        """The settings that a checkpoint must agree with."""
        aim = {"target": self.target, "layer": self.layer, "place": self.place}
        aim |= {"contrast": self.contrast} if self.contrast else {}
        return {"make": "visualization", "model": self.model, **aim, **more}

    def draw(self, noise, decode=lambda noise: noise):
        """(noise whose image has a nonzero gradient, number of draws); `decode` turns noise into an image."""
        for draws in range(1, TRIES + 1):
            x = noise()
            if self.gradient(decode(x))[1].any():
                if draws > 1:
                    warnings.warn(
                        f"the gradient is 0 on noise: drawn again, {draws} times in all",
                        stacklevel=level_outside(),
                    )
                return x, draws
        raise InputError(
            f"{TRIES} images of noise, and the gradient is 0 on each: gradient ascent cannot start"
        )


def _pass_if_blocked(record, dy):
    """A rule: a ReLU that would block the whole gradient passes it on unchanged."""
    dx = record.layer.backward(dy, record.cache)
    return dx if dx.any() else dy


def float_type(model):
    """The dtype of the model's parameters, which images are computed in."""
    return next((array.dtype for array in model.parameters().values()), np.dtype(np.float32))
