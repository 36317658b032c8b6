"""What to explain, beyond the score of one class: functions of a network's outputs, with their gradients by hand.

    value, dlogits = target(logits)        # (N,), and d value / d logits, of the shape of the logits

Every function here returns such a target; so may a function of your own. Wherever a method takes `target`, it takes
one of these, a list of one per image, or the text of an expression:

    saliency(model, x, "tabby - golden retriever")            why a cat and not a dog?
    saliency(model, x, "-tabby")                              what lowers the score?
    saliency(model, x, "prob(tabby)")                         its softmax probability
    saliency(model, x, targets.entropy())                     what makes the network sure, or unsure?

A target becomes the last layer of the network, so that a method's own formula holds for its value: integrated gradients
and DeepLIFT sum to its difference from the baseline, and Grad-CAM weights channels by its gradient.
"""

from npgrad.targets.expressions import (
    Expression,
    Term,
    difference,
    expression,
    log_probability,
    probability,
    score,
)
from npgrad.targets.functions import distance, entropy, region, top_k_sum

__all__ = [
    "Expression",
    "Term",
    "difference",
    "distance",
    "entropy",
    "expression",
    "log_probability",
    "probability",
    "region",
    "score",
    "top_k_sum",
]
