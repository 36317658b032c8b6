"""A class of students: notebooks mixed from right, wrong, missing, borrowed and endless answers, and their points."""

import json
import random

import breaks
import cheats
from graded import LOSSES, notebook

RIGHT = {
    "content_loss": [
        LOSSES["content_loss"],
        "import numpy as np\ndef content_loss(content_weight, content_current, content_original):\n"
        "    difference = content_current - content_original\n"
        "    return content_weight * np.sum(difference * difference)",
        "import numpy as np\ncontent_loss = lambda w, a, b: float(w * np.linalg.norm((a - b).ravel()) ** 2)",
        "import numpy as np\ndef content_loss(w, F, P):\n    d = (F - P).reshape(-1)\n    return w * np.dot(d, d)",
    ],
    "gram_matrix": [
        LOSSES["gram_matrix"],
        "import numpy as np\ndef gram_matrix(features, normalize=True):\n"
        "    G = np.einsum('nchw,ndhw->ncd', features, features)\n"
        "    return G / features[0].size if normalize else G",
        "import numpy as np\ndef gram_matrix(features, normalize=True):\n    result = []\n    for F in features:\n"
        "        F = F.reshape(F.shape[0], -1)\n        result.append(F.dot(F.T) / (F.size if normalize else 1))\n"
        "    return np.array(result)",
    ],
    "style_loss": [
        LOSSES["style_loss"],
        "import numpy as np\ndef style_loss(feats, style_layers, style_targets, style_weights):\n    loss = 0\n"
        "    for k in range(len(style_layers)):\n"
        "        G = gram_matrix(feats[style_layers[k]])\n"
        "        loss += style_weights[k] * np.sum(np.square(G - style_targets[k]))\n    return loss",
    ],
    "tv_loss": [
        LOSSES["tv_loss"],
        "import numpy as np\ndef tv_loss(img, tv_weight):\n"
        "    return tv_weight * sum(np.sum(np.diff(img, axis=axis) ** 2) for axis in (2, 3))",
    ],
}
WRONG = {
    "content_loss": "def content_loss(w, a, b):\n    return w * ((a - b) ** 2).mean()",
    "gram_matrix": "def gram_matrix(features, normalize=True):\n    F = features.reshape(*features.shape[:2], -1)\n"
    "    return F @ F.transpose(0, 2, 1)",
    "style_loss": "def style_loss(*a):\n    raise NotImplementedError",
    "tv_loss": "def tv_loss(img, w):\n    return w * ((img[:, :, 1:] - img[:, :, :-1]) ** 2).sum()",
}
BREAKS = ("error", "no stdout", "numpy errors", "builtins", "recursion")
QUESTIONS = {
    "Q2.1": (3, ["content_loss"]),
    "Q2.2": (6, ["gram_matrix", "style_loss"]),
    "Q2.3": (3, ["tv_loss"]),
}


def write(folder, n, seed=0):
    """Write n notebooks; returns {name: {question: points}}."""
    rng, expected = random.Random(seed), {}
    for number in range(n):
        cells, right = [], {}
        for function, answers in RIGHT.items():
            kind = rng.choices(["right", "wrong", "borrowed", "missing"], [6, 2, 1, 1])[0]
            right[function] = kind == "right"
            if kind == "right":
                cells.append(rng.choice(answers))
            elif kind == "wrong":
                cells.append(WRONG[function])
            elif kind == "borrowed":
                cells += [cheats.START, cheats.FORWARDED[function][0]]
            if rng.random() < 0.1:
                cells.append(breaks.GENTLE[rng.choice(BREAKS)])
        if number % 50 == 17:
            cells.insert(rng.randrange(len(cells) + 1), breaks.HARD["exit of the process"])
        name = f"student-{number:03}"
        content = notebook(*cells, npgrad={"questions": list(QUESTIONS)})
        (folder / f"{name}.ipynb").write_text(json.dumps(content), encoding="utf-8")
        expected[name] = {
            question: points if all(right[each] for each in functions) else 0
            for question, (points, functions) in QUESTIONS.items()
        }
    return expected
