"""In the student's process: which functions of npgrad run while an answer is computed, and what else it does.

A profile function sees every Python call in every thread, however the function was reached: by an alias, importlib,
sys.modules or a chain of getattr. An audit hook, which cannot be removed, sees new processes, connections, code made by
exec, and the like.
"""

import _thread
import hashlib
import os
import sys
import threading
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2]) + os.sep
INSTALLED = tuple(
    {str(Path(os.__file__).resolve().parent) + os.sep, sys.prefix + os.sep, sys.base_prefix + os.sep}
)
OWN = os.path.join(ROOT, "course", "submissions") + os.sep
PROCESSES = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
}
CONNECTIONS = {"socket.connect", "socket.bind", "urllib.Request"}
# These count wherever they happen, if a cell's own code calls them.
TAMPERING = {"sys.setprofile", "sys.settrace", "gc.get_objects", "gc.get_referrers", "sys._getframe"}
KILLS = {"os.kill", "os.killpg", "signal.pthread_kill"}
CODE = {"exec", "function.__new__", "code.__new__"}
EVENTS = PROCESSES | CONNECTIONS | TAMPERING | KILLS | CODE | {"open"}
AUTOGRAD = {"autograd", "jax", "keras", "mxnet", "tensorflow", "tinygrad", "torch"}
SHORTEST = 200  # bytes of bytecode: shorter functions are alike by chance


def observer():
    """(start, stop): stop returns {"called": names in npgrad, "copies": fingerprints, "events": words} since start."""
    answering, tampered, found, of_code, dynamic = [], set(), {}, {}, {}
    busy, protected = set(), _ancestors()
    this_process = os.getpid()

    def is_cells(code):
        """Whether code is the notebook's: not the library's, Python's or an installed package's."""
        name = code.co_filename
        if name.startswith(("<frozen", "<__array_function__", "<attrs", "<lambdifygenerated")):
            return False
        return not name.startswith((ROOT, *INSTALLED))

    def described(code):
        """("called", name or package), ("copy", fingerprint), ("dynamic", its name), or None: it does not matter."""
        name = code.co_filename
        if name.startswith(ROOT):
            if name.startswith(OWN) or code.co_name.startswith("<"):
                return None  # a module, or a comprehension of a function that is seen itself
            return "called", f"{module_name(name)}.{code.co_name}"
        if not is_cells(code):
            package = name.rpartition("site-packages" + os.sep)[2].partition(os.sep)[0]
            return ("called", package) if package in AUTOGRAD else None
        if id(code) in dynamic:
            return "dynamic", code.co_name
        return "copy", fingerprint(code)

    def profile(frame, event, argument):
        if event != "call" or not answering:
            return
        code = frame.f_code
        known = of_code.get(id(code))
        if known is None:
            known = of_code[id(code)] = (
                code,
                described(code),
            )  # the code is kept, so that its id stays its own
        if known[1] is not None:
            found[known[1]] = True

    def hook(event, arguments):
        if event not in EVENTS or threading.get_ident() in busy:
            return
        busy.add(threading.get_ident())
        try:
            handle(event, arguments)
        finally:
            busy.discard(threading.get_ident())

    def handle(event, arguments):
        if event in KILLS:
            if arguments[0] in protected or (event == "os.kill" and arguments[0] <= 0):
                if answering:
                    found["event", "ends a process of the grader"] = True
                raise PermissionError("this process may not be ended from a notebook")
            return
        if os.getpid() != this_process:
            return
        caller = sys._getframe(2).f_code
        if event in TAMPERING:
            if is_cells(caller):
                tampered.add(f"calls {event}")
        elif event in CODE:
            if is_cells(caller):
                mark(arguments[0])
                if answering and event == "exec":
                    found["event", "runs code by exec or eval"] = True
        elif answering:
            if event == "open":
                text = arguments[0] if isinstance(arguments[0], str) else ""
                if text.startswith("/proc/") and text.endswith(("/mem", "/environ", "/cmdline")):
                    found["event", f"reads {os.path.basename(text)} of a process"] = True
            else:
                kind = "starts another process" if event in PROCESSES else "opens a connection"
                found["event", kind] = True

    def mark(code):
        """Remember code made while the notebook runs, with that inside it."""
        if hasattr(code, "co_consts"):
            dynamic[id(code)] = code
            for each in code.co_consts:
                mark(each)

    def start():
        found.clear()
        end_children()
        answering.append(True)
        threading.setprofile(profile)
        sys.setprofile(profile)

    def stop():
        kept = sys.getprofile() is profile
        sys.setprofile(None)
        answering.clear()
        events = {text for kind, text in found if kind == "event"} | tampered
        if not kept:
            events.add("switches off what sees its calls")
        if any(kind == "dynamic" for kind, _ in found):
            events.add("runs code made by exec, eval, compile or types")
        return {
            "called": sorted(text for kind, text in found if kind == "called"),
            "copies": sorted(text for kind, text in found if kind == "copy" and text),
            "events": sorted(events),
        }

    sys.addaudithook(hook)
    # From now on, so that what threads of the cells do later is seen, too.
    threading.setprofile(profile)
    start_thread = _thread.start_new_thread

    def start_new_thread(function, *arguments):
        def seen(*positional, **named):
            sys.setprofile(profile)
            return function(*positional, **named)

        return start_thread(seen, *arguments)

    _thread.start_new_thread = _thread.start_new = start_new_thread
    return start, stop


def module_name(path):
    """The module of a file of npgrad."""
    return "npgrad." + path[len(ROOT) :].removesuffix(".py").removesuffix(os.sep + "__init__").replace(
        os.sep, "."
    )


def fingerprint(code):
    """A digest of a function's bytecode, the same whatever its variables are called; "" for a short one."""
    if len(code.co_code) < SHORTEST or code.co_name == "<module>":
        return ""
    return hashlib.sha256(code.co_code).hexdigest()[:32]


def _ancestors():
    """This process's parents, and 0 and -1, which stand for several processes."""
    found, process = {0, -1, 1}, os.getppid()
    while process > 1:
        found.add(process)
        try:
            text = Path(f"/proc/{process}/stat").read_text()
        except OSError:  # not Linux
            break
        process = int(text.rpartition(")")[2].split()[1])
    return found


def end_children():
    """End the processes that cells have started, so that none of them can answer. (Linux.)"""
    import signal

    for task in Path("/proc/self/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
            except OSError:
                continue
