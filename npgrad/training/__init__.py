"""Training by the hand-written backward passes: batches, gradients, steps, checkpoints, accuracy, influence."""

from npgrad.training.attacks import Attack, ramp
from npgrad.training.data import Ahead, as_input, augment
from npgrad.training.gradients import batch_gradients
from npgrad.training.influence import checkpoint_model, tracin
from npgrad.training.loop import Training, train
from npgrad.training.measure import Accuracy, accuracy, rescaled
from npgrad.training.reasons import RightReasons

__all__ = [
    "Accuracy", "Ahead", "Attack", "RightReasons", "Training", "accuracy", "as_input", "augment", "batch_gradients",
    "checkpoint_model", "ramp", "rescaled", "tracin", "train",
]  # fmt: skip
