"""What training programs save beside the weights: BESIDE, and objects that no reader may run."""

import argparse
import collections
import datetime
import decimal
import enum
import pathlib
import random
import uuid

import numpy as np
import pytest
import torch


class Mode(enum.Enum):
    MAX = "max"
    MIN = "min"


class Meter:
    """An object of the training program, with what that program remembers."""

    def __init__(self):
        self.values, self.best = [1.0, 2.0], torch.ones(3)


class Trap:
    """An object whose unpickling calls what must never be called."""

    def __reduce__(self):
        return pytest.fail, ("called",)


def schedule(epoch):
    return 0.9**epoch


def optimizer(state):
    parameters = [torch.nn.Parameter(tensor.clone()) for tensor in list(state.values())[:2]]
    adam = torch.optim.Adam(parameters)
    sum((parameter**2).sum() for parameter in parameters).backward()
    adam.step()
    return adam.state_dict()


BESIDE = {
    "a NumPy number": lambda: np.float64(0.7),
    "a NumPy bool": lambda: np.bool_(True),
    "a NumPy array": lambda: np.zeros(3),
    "an array of objects": lambda: np.array([{}, None], object),
    "NumPy's random state": lambda: np.random.default_rng(0).bit_generator.state,
    "NumPy's old random state": lambda: np.random.RandomState(0).get_state(),
    "a random generator": lambda: np.random.default_rng(0),
    "Python's random state": lambda: random.Random(0).getstate(),
    "a Namespace": lambda: argparse.Namespace(lr=0.1, path=pathlib.Path("x"), more={"a": {1, 2}}),
    "a path": lambda: pathlib.Path("runs/1"),
    "a date": lambda: datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    "a time span": lambda: datetime.timedelta(3),
    "a set": lambda: {1, "a"},
    "a frozenset": lambda: frozenset({1}),
    "a defaultdict": lambda: collections.defaultdict(list, {"loss": [1.0], "epoch": [2]}),
    "a Counter": lambda: collections.Counter("aab"),
    "a deque": lambda: collections.deque([1, 2], maxlen=3),
    "an OrderedDict in an OrderedDict": lambda: collections.OrderedDict(a=collections.OrderedDict(b=1)),
    "an object of a class": lambda: Meter(),
    "a class": lambda: Meter,
    "a function": lambda: schedule,
    "a member of an enumeration": lambda: Mode.MAX,
    "keys of an enumeration": lambda: {Mode.MAX: 1, Mode.MIN: 2, None: 3, 0.5: 4, True: 5},
    "a UUID": lambda: uuid.UUID(int=5),
    "a decimal number": lambda: decimal.Decimal("0.1"),
    "a complex number": lambda: 1 + 2j,
    "a slice": lambda: slice(1, 2),
    "bytes": lambda: b"\x00\xff",
    "a device": lambda: torch.device("cpu"),
    "a dtype": lambda: torch.bfloat16,
    "a shape": lambda: torch.zeros(2, 3).shape,
    "a complex tensor": lambda: torch.zeros(2, dtype=torch.complex64),
    "a sparse tensor": lambda: torch.eye(3).to_sparse(),
    "a quantized tensor": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
    "torch's random state": torch.get_rng_state,
    "a scalar tensor": lambda: torch.tensor(58.1),
    "a loss with its weights": lambda: torch.nn.CrossEntropyLoss(torch.ones(5)),
    "a trap": lambda: [Trap(), {"again": Trap()}],
}
