"""The check of extract_features (Q2.4)."""

import numpy as np

from npgrad.course import style
from npgrad.course.grading._answer import Wrong
from npgrad.course.grading._cases import images, network
from npgrad.course.grading._compare import array, close, tolerance


def check_extract_features(answer):
    """extract_features(x, model): 13 feature maps."""
    for name, n, dtype in (("A", 2, "float64"), ("B", 1, "float32")):
        model, x = network(name, dtype, answer.draw), images(n, 48, 40, dtype=dtype, draw=answer.draw)
        where = f"x of shape {x.shape}, {dtype}, random network {name}"
        found = answer({"x": x, "model": model}, where=where)
        if not hasattr(found, "__len__") or isinstance(found, np.ndarray):
            raise Wrong(f"expected a list of 13 feature maps, found {type(found).__name__}")
        if len(found) != 13:
            raise Wrong(f"expected 13 feature maps, those of features[0] to features[12], found {len(found)}")
        tape = model.forward(x)
        for i, own in enumerate(style.feature_names(model)):
            try:
                feature = found[i]
            except (KeyError, IndexError):
                raise Wrong(f"expected the maps at the indices 0 to 12, found none at {i}") from None
            feature = array(feature, tape[own].shape, where)
            rtol = tolerance(feature, {"x": x})
            if not close(feature, tape[own], rtol):
                other = next((r.name for r in tape if close(feature, r.y, 10 * rtol)), None)
                found = f"that of {other}" if other else f"other values, of shape {feature.shape}"
                raise Wrong(f"expected at [{i}] the map of {own}, {tape[own].shape}, found {found} ({where})")
