"""Ways to break a run of a notebook; none of them costs the points of anything else.

GENTLE cells leave a process that goes on, HARD ones end it, or have to be stopped; FUNCTIONS do so while they are
checked, and give the reason.
"""

GENTLE = {
    "error": "1 / 0",
    "error without text": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "base exception": "raise BaseException('all')",
    "syntax": "def broken(:\n    pass",
    "no stdout": "import sys\nsys.stdout = None\nsys.stderr = None",
    "input": "input('your name? ')",
    "exit": "exit()",
    "SystemExit": "import sys\nsys.exit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "recursion limit": "import sys\nsys.setrecursionlimit(120)",
    "flood": "for i in range(20_000): print('x' * 1000)",
    "one long line": "print('x' * 50_000_000)",
    "a long error": "raise ValueError('x' * 1_000_000)",
    "builtins": "import builtins\ndel builtins.len, builtins.open, builtins.print, builtins.isinstance",
    "shadowed": "max = len = print = None\nget_ipython = None",
    "numpy errors": "import numpy as np\nnp.seterr(all='raise')",
    "numpy replaced": "import numpy as np\nnp.sum = np.asarray = np.frombuffer = None",
    "npgrad replaced": "import npgrad.errors, npgrad.tape\nnpgrad.tape.Tape = npgrad.errors.InputError = None",
    "warnings": "import warnings\nwarnings.simplefilter('error')",
    "chdir": "import os, tempfile\nos.chdir(tempfile.gettempdir())",
    "no folder": "import os, tempfile\nd = tempfile.mkdtemp()\nos.chdir(d)\nos.rmdir(d)",
    "path": "import sys\nsys.path.clear()",
    "environment": "import os\nos.environ.clear()",
    "no such module": "import a_module_that_nobody_has",
    "magic": "%matplotlib nonsense",
    "interrupts ignored": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
    "thread": "import threading, time\nthreading.Thread(target=lambda: [time.sleep(1) for _ in iter(int, 1)]).start()",
    "memory": "x = bytearray(10**13)",
    "memory in NumPy": "import numpy as np\nnp.ones(10**11)",
    "a process": "import subprocess\nsubprocess.Popen(['sleep', '600'])",
    "the grader's process": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "a name": "__builtins__ = None",
    "modules": "import sys\nsys.modules.clear()",
    "events": "get_ipython().events.callbacks['post_execute'].clear()",
}

HARD = {
    "endless": "while True: pass",
    "endless, no interrupt": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "sleep": "import time\ntime.sleep(10_000)",
    "no interrupt in C": "7 ** 10**9",
    "exit of the process": "import os\nos._exit(1)",
    "abort": "import os\nos.abort()",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "files closed": "import os\nos.closerange(3, 4096)",
}

FUNCTIONS = {
    "content_loss": ("def content_loss(*a):\n    while True: pass", "was interrupted after"),
    "gram_matrix": ("import os\ndef gram_matrix(*a): os._exit(1)", "ended the process"),
    "compute_saliency_maps": (
        "def compute_saliency_maps(*a): return bytearray(10**13)",
        "raised MemoryError",
    ),
    "guided_backprop": ("def guided_backprop(*a): return guided_backprop(*a)", "raised RecursionError"),
    "grad_cam": (
        "import numpy as np\ndef grad_cam(*a): return np.zeros((40, 1000, 1000))",
        "(more than 256 MB|did not answer)",
    ),
    "guided_grad_cam": ("def guided_grad_cam(*a): raise SystemExit(0)", "raised SystemExit"),
    "extract_features": (
        "def extract_features(*a):\n    for _ in range(20_000): print('x' * 1000)",
        "returned None; it prints",
    ),
}
