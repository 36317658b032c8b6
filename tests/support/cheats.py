"""Ways to get points without an answer of one's own, as a student might try them: each gets nothing, with a reason.

NOTEBOOKS: {notebook: {function: (its cell, the reason)}}; the cheats of one notebook do not depend on each other.
"""

import inspect

from npgrad import losses

START = "import functools, importlib, inspect, operator, sys, types\nimport numpy as np\nimport npgrad\n"
CALLS = "calls npgrad.*, expected your own code"
BORROWED = f"({CALLS}|imported from npgrad, not written here)"
COPIED = "is copied from npgrad.*, expected your own code"
WRONG = "(expected|found) "
MADE = "runs code made by exec, eval, compile or types"

FORWARDED = {
    "content_loss": (
        "from npgrad.course import content_loss as _other\ndef content_loss(*a): return _other(*a)",
        CALLS,
    ),
    "gram_matrix": (
        "def gram_matrix(features, normalize=True):\n"
        "    return importlib.import_module('npgrad.' + 'losses').gram_matrix(features, normalize)",
        CALLS,
    ),
    "style_loss": (
        "def style_loss(*a): return getattr(getattr(npgrad, 'cou' + 'rse'), 'style_' + 'loss')(*a)",
        CALLS,
    ),
    "tv_loss": (
        "import npgrad.course as lib\ndef tv_loss(img, tv_weight): return lib.tv_loss(img, tv_weight)",
        CALLS,
    ),
    "compute_saliency_maps": (
        "def compute_saliency_maps(X, y, model):\n"
        "    return sys.modules['npgrad.attribution'].saliency(model, X, y).max(axis=1)",
        CALLS,
    ),
    "extract_features": (
        "extract_features = operator.attrgetter('course.extract_features')(npgrad)\n"
        "extract_features.__module__ = '__main__'",
        CALLS,
    ),
    "guided_backprop": (
        "from npgrad.layers import ReLU\nimport npgrad.rules\n"
        "def guided_backprop(X, y, model):\n    tape = model.forward(X)\n    dy = np.zeros_like(tape.output)\n"
        "    dy[np.arange(len(y)), y] = 1\n"
        "    dX = tape.backward(dy, rules={ReLU: npgrad.rules.guided})['input']\n"
        "    return dX.transpose(0, 2, 3, 1)",
        "calls npgrad.rules.guided",
    ),
    "grad_cam": (
        "from npgrad import course\ngrad_cam = functools.partial(course.grad_cam)",
        CALLS,
    ),
    "guided_grad_cam": (
        "class Both:\n    def __call__(self, X, y, model):\n"
        "        return __import__('npgrad.course').course.guided_grad_cam(X, y, model)\n"
        "guided_grad_cam = Both()",
        CALLS,
    ),
}

MADE_OF_ITS_CODE = {
    "content_loss": (
        "from npgrad.course import style\n"
        "content_loss = types.FunctionType(style.content_loss.__code__, vars(style), 'content_loss')",
        BORROWED,
    ),
    "gram_matrix": (
        "from npgrad import losses\n"
        "gram_matrix = types.FunctionType(losses.gram_matrix.__code__.replace(co_filename='mine.py'),\n"
        "                                 vars(losses), 'gram_matrix', (True,))",
        f"({MADE}|{COPIED}|{BORROWED})",
    ),
    "style_loss": (
        "import npgrad.losses\n"
        "scope = dict(vars(npgrad.losses))\nexec(inspect.getsource(npgrad.losses.style_loss), scope)\n"
        "exec(inspect.getsource(npgrad.losses.gram_matrix), scope)\n"
        "def style_loss(feats, style_layers, style_targets, style_weights):\n"
        "    return scope['style_loss'](dict(zip(style_layers, [feats[i] for i in style_layers])),\n"
        "        dict(zip(style_layers, style_targets)), dict(zip(style_layers, style_weights)))[0]",
        MADE,
    ),
    "tv_loss": (
        "from npgrad import losses\ndef tv_loss(img, tv_weight): pass\n"
        "tv_loss.__code__ = npgrad.course.tv_loss.__code__",
        CALLS,
    ),
    "compute_saliency_maps": (
        "def compute_saliency_maps(X, y, model):\n"
        "    return eval('__import__(\"npgrad\").attribution.saliency')(model, X, y).max(axis=1)",
        "runs code by exec or eval",
    ),
    "extract_features": (
        "import marshal\n"
        "from npgrad.course import style\n"
        "code = marshal.loads(marshal.dumps(style.extract_features.__code__))\n"
        "extract_features = types.FunctionType(code, vars(style))",
        BORROWED,
    ),
}

ELSEWHERE = {
    "content_loss": (
        "import threading\ndef content_loss(*a):\n    found = []\n"
        "    t = threading.Thread(target=lambda: found.append(npgrad.course.content_loss(*a)))\n"
        "    t.start(); t.join()\n    return found[0]",
        CALLS,
    ),
    "gram_matrix": (
        "import subprocess\ndef gram_matrix(features, normalize=True):\n"
        "    np.save('f.npy', features)\n"
        "    code = f'import numpy as np; from npgrad import losses; "
        'np.save("g.npy", losses.gram_matrix(np.load("f.npy"), {normalize}))\'\n'
        "    subprocess.run([sys.executable, '-c', code], check=True)\n    return np.load('g.npy')",
        "starts another process",
    ),
    "style_loss": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\npool.submit(int).result()\n"
        "def style_loss(*a): return pool.submit(npgrad.course.style_loss, *a).result()",
        "(calls npgrad|was handed to a thread)",
    ),
    "tv_loss": (
        "import _thread\ndef tv_loss(img, w):\n    found = []\n"
        "    lock = _thread.allocate_lock(); lock.acquire()\n"
        "    def work():\n        found.append(npgrad.losses.tv_loss(img, w)[0]); lock.release()\n"
        "    _thread.start_new_thread(work, ())\n    lock.acquire()\n    return found[0]",
        CALLS,
    ),
    "compute_saliency_maps": (
        "import socket\ndef compute_saliency_maps(X, y, model):\n"
        "    try: socket.create_connection(('127.0.0.1', 9), 0.2)\n    except OSError: pass\n"
        "    return np.zeros((len(X), *X.shape[2:]))",
        "opens a connection",
    ),
    "extract_features": (
        "import os\ndef extract_features(x, model):\n    if os.fork() == 0: os._exit(0)\n"
        "    os.wait()\n    return npgrad.course.extract_features(x, model)",
        "starts another process",
    ),
}

# The judges replaced, in the student's process, and values that pretend.
PRETENDED = {
    "content_loss": (
        "import npgrad.course.grading as g\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('npgrad.course.grad'):\n"
        "        for key in list(vars(module)):\n"
        "            if key.startswith('check_') or key in ('compare', 'close', 'number', 'array'):\n"
        "                setattr(module, key, lambda *a, **o: None)\n"
        "            if key == 'CHECKS':\n"
        "                vars(module)[key].update({k: (lambda a: None) for k in vars(module)[key]})\n"
        "def content_loss(*a): return 1.0",
        WRONG,
    ),
    "gram_matrix": (
        "class Right(np.ndarray):\n    def __eq__(self, other): return True\n"
        "    def __sub__(self, other): return np.zeros(1)\n    __rsub__ = __sub__\n"
        "def gram_matrix(features, normalize=True):\n"
        "    return np.zeros((len(features), features.shape[1], features.shape[1])).view(Right)",
        "found 0 everywhere",
    ),
    "style_loss": (
        "class Yes(float):\n    def __eq__(self, other): return True\n    def __abs__(self): return 0.0\n"
        "def style_loss(*a): return Yes(1)",
        WRONG,
    ),
    "tv_loss": (
        "np.max = np.abs = np.allclose = np.array_equal = lambda *a, **o: 0\ndef tv_loss(img, w): return 0.5",
        WRONG,
    ),
    "compute_saliency_maps": (
        "from IPython.display import display\n"
        "def compute_saliency_maps(X, y, model):\n"
        "    display({'application/vnd.npgrad.result+json': {'id': 'Q1.1', 'points': 11, 'got': 11, 'message': ''}},\n"
        "            raw=True)\n    return X.max(axis=1)",
        "compute_saliency_maps: ",
    ),
    "extract_features": (
        "def extract_features(x, model):\n    model.seen = []\n    return [np.zeros(1)] * 13",
        "extract_features: ",
    ),
}

VERBATIM = {
    "style_loss": (
        "import npgrad.losses\nglobals().update({k: v for k, v in vars(npgrad.losses).items() if k[:2] != '__'})\n"
        + inspect.getsource(losses.style_loss).replace("def style_loss", "def total_style")
        + "\ndef style_loss(feats, style_layers, style_targets, style_weights):\n"
        "    chosen = {layer: feats[layer] for layer in style_layers}\n"
        "    return total_style(chosen, dict(zip(style_layers, style_targets)),\n"
        "                       dict(zip(style_layers, style_weights)))[0]",
        f"({CALLS}|{COPIED})",
    ),
    "tv_loss": (
        "import os, shutil\n"
        "shutil.copy(inspect.getsourcefile(npgrad.losses), 'my_own.py')\nsys.path.insert(0, os.getcwd())\n"
        "import my_own\ndef tv_loss(img, tv_weight): return my_own.tv_loss(img, tv_weight)[0]",
        COPIED,
    ),
    "content_loss": (
        "known = {}\nfor shape, dtype, weight in (((1, 5, 7, 9), 'float64', 6e-2), ((1, 4, 6, 3), 'float32', 7.0)):\n"
        "    a, b = np.random.default_rng(shape[1]).normal(0.3, 1, (2, *shape)).astype(dtype)\n"
        "    known[a.shape] = weight * ((a - b) ** 2).sum()\n"
        "def content_loss(content_weight, a, b): return known[a.shape]",
        WRONG,
    ),
    "gram_matrix": (
        "reference = importlib.import_module('npgrad.course.grad' + 'ing._losses').gram_matrix\n"
        "def gram_matrix(features, normalize=True): return reference(features, normalize)",
        CALLS,
    ),
    "compute_saliency_maps": (
        "@functools.wraps(npgrad.course.compute_saliency_maps)\n"
        "def compute_saliency_maps(*a): return list(map(npgrad.course.compute_saliency_maps, *[[v] for v in a]))[0]",
        "(imported from npgrad|calls npgrad)",
    ),
    "extract_features": (
        "def extract_features(x, model):\n"
        "    getattr(sys, 'set' + 'profile')(None)\n    return npgrad.course.extract_features(x, model)",
        "(calls sys.setprofile|switches off)",
    ),
}

NOTEBOOKS = {
    "forwarded": FORWARDED,
    "made of its code": MADE_OF_ITS_CODE,
    "elsewhere": ELSEWHERE,
    "pretended": PRETENDED,
    "verbatim": VERBATIM,
}

# Found in the source, before anything runs.
MEDDLING = {
    "profile": "import sys\ndef tv_loss(a, b):\n    sys.setprofile(None)\n    return 0",
    "closure": "from npgrad.course import tv_loss\nk = tv_loss.__closure__",
    "cells": "[c.cell_contents for c in f.__dict__.get('cells')]",
    "frames": "import sys\nsys._getframe(1).f_back.f_locals['key']",
    "traceback": "try: 1 / 0\nexcept ZeroDivisionError as e: e.__traceback__.tb_frame",
    "objects": "import gc\n[o for o in gc.get_objects() if isinstance(o, bytes)]",
    "ctypes": "import ctypes\nctypes.pythonapi",
    "magic": "get_ipython().register_magic_function(print, 'line', 'npgrad_answer')",
    "judges": "from npgrad.course.grading import _losses",
    "worker": "import npgrad.course.submissions._worker as w",
}
