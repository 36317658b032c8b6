"""What can be read in a notebook's source without running it: definitions, meddling, and how alike two of them are."""

import ast
import hashlib
import textwrap

# Names by which code looks into the interpreter that runs it. Nobody needs them for the homework.
INSIDES = {
    "__closure__", "cell_contents", "f_back", "f_locals", "f_globals", "tb_frame", "gi_frame", "cr_frame", "_getframe",
    "setprofile", "settrace", "addaudithook", "get_objects", "get_referrers", "get_referents", "ctypes",
    "npgrad_answer", "PyObject", "sys._current_frames", "_current_frames", "magics_manager",
}  # fmt: skip
GRADER = ("npgrad.course.submissions", "npgrad.course.grading")
SHINGLE = 6  # nodes of the syntax tree in a piece that is compared


def python(cell):
    """A cell's code as Python, with IPython's own syntax translated; unchanged if that is not possible."""
    try:
        from IPython.core.inputtransformer2 import TransformerManager

        return TransformerManager().transform_cell(cell)
    except Exception:  # SyntaxError, and what IPython raises for others
        return cell


def parsed(cell):
    """A cell's syntax tree; an empty one if it is not Python."""
    try:
        return ast.parse(python(cell))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def definitions(cell):
    """The imports, functions and classes at the top level of a cell, as source."""
    kept = [node for node in parsed(cell).body if _defines(node)]
    return "\n".join(ast.unparse(node) for node in kept)


def _defines(node):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    if isinstance(node, ast.Assign):
        return isinstance(node.value, (ast.Constant, ast.Lambda, ast.Name))
    return isinstance(node, kinds)


def function_source(cells, name):
    """The source of the last function of a name that the cells define at their top level; or None."""
    found = None
    for cell in cells:
        text = python(cell)
        for node in parsed(cell).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                found = textwrap.dedent(ast.get_source_segment(text, node) or ast.unparse(node))
    return found


def meddling(cells):
    """{cell: what in it looks into the interpreter or the grader}."""
    found = {}
    for number, cell in cells.items():
        words = sorted(set(_words(parsed(cell))))
        if words:
            found[number] = ", ".join(words)
    return found


def _words(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [node.module or "", *(alias.name for alias in node.names)]
        else:
            continue
        for name in names:
            if (
                name in INSIDES
                or name.partition(".")[0] == "ctypes"
                or name.startswith(GRADER)
                and (name.startswith(GRADER[0]) or "._" in name)
            ):
                yield name


def pieces(cells, given=frozenset()):
    """Digests of all pieces of the cells' functions, names left out, without those in `given`."""
    found = set()
    for cell in cells:
        for node in parsed(cell).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Assign)):
                words = list(_shape(node))
                for i in range(len(words) - SHINGLE + 1):
                    text = " ".join(words[i : i + SHINGLE])
                    found.add(hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
    return found - given


def _shape(node):
    """The nodes of a tree in order: kinds and constants, and what is called, but no other names and no docstrings."""
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return
    label = type(node).__name__
    if isinstance(node, ast.Attribute):
        label += f".{node.attr}"
    elif isinstance(node, ast.Constant):
        label += f":{node.value!r}"[:40]
    elif isinstance(node, (ast.Load, ast.Store)):
        return
    yield label
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.arguments):
            yield f"arguments{len(child.args)}"
        else:
            yield from _shape(child)


def most_similar(submissions):
    """{name: (similarity from 0 to 1, the name of the most similar other)} for {name: pieces}.

    A piece counts the more, the fewer submissions have it: weighted Jaccard similarity with weights log(n / count).
    """
    import math
    from collections import Counter

    counts = Counter(piece for own in submissions.values() for piece in own)
    n = len(submissions)
    weights = {piece: math.log(n / count) + 1 / n for piece, count in counts.items()}
    sums = {name: math.fsum(weights[piece] for piece in sorted(own)) for name, own in submissions.items()}
    best = dict.fromkeys(submissions, (0.0, ""))
    names = sorted(submissions)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            common = math.fsum(weights[p] for p in sorted(submissions[first] & submissions[second]))
            either = sums[first] + sums[second] - common
            value = common / either if either else 0.0
            for name, other in ((first, second), (second, first)):
                if value > best[name][0] + 1e-12:
                    best[name] = (value, other)
    return best
