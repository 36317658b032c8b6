"""The checks of the layers by hand: right functions of any style pass; each typical mistake is caught, and named."""

import re

import layers_by_hand
import numpy as np
import pytest
from layers_by_hand import COURSE, PLANTED, planted, variants, with_needed

import npgrad
from npgrad.course import check
from npgrad.course.grading._answer import Answer, Wrong
from npgrad.course.grading._chain import Kept, Step, run
from npgrad.course.layers_by_hand import FUNCTIONS, checks
from npgrad.course.layers_by_hand.checks import CHECKS, FAULTS

STYLES = variants()


def test_every_function_has_a_check_with_many_named_mistakes():
    assert list(CHECKS) and set(CHECKS) == set(FAULTS) == set(FUNCTIONS) == set(PLANTED)
    assert len(FUNCTIONS) == 32
    assert min(map(len, FAULTS.values())) >= 15
    assert min(map(len, PLANTED.values())) >= 8
    assert sum(map(len, PLANTED.values())) >= 590
    assert min(map(len, STYLES.values())) >= 10


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_layers_of_a_course_get_full_marks(name, capsys):
    given = with_needed(COURSE, name)
    result = check(name, *given.values())
    notes = [line for line in result.message.splitlines() if "PyTorch gives it to the first" not in line]
    assert (bool(result), notes) == (True, []), result.message
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{name}: ")


def message(name, *edit):
    """The message of the check of a function after an edit; it gets no point."""
    result = check(name, **planted(name, *edit))
    assert (bool(result), result.got) == (False, 0), (name, edit)
    assert "\n" not in result.message or "modified" in result.message
    return result.message


@pytest.mark.parametrize(
    ("name", "row"),
    [("affine_backward", 1), ("affine_backward", 15), ("softmax_loss", 3), ("batchnorm_forward", 20),
     ("batchnorm_backward", 9), ("max_pool_backward_naive", 0), ("residual_backward", 0),
     ("dropout_forward", 3), ("adam", 0)],
)  # fmt: skip
def test_a_mistake_is_named(name, row):
    *edit, pattern = PLANTED[name][row][:3]
    assert re.search(pattern, message(name, *edit, *PLANTED[name][row][3:]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PLANTED)
def test_nearly_every_planted_mistake_is_named(name):
    """At least 95 of 100 in each function; all of them when this was written."""
    missed = []
    for old, new, pattern, *edited in PLANTED[name]:
        found = message(name, old, new, *edited)
        if not re.search(pattern, found):
            missed.append((new, found))
    assert len(missed) <= 0.05 * len(PLANTED[name]), missed


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_right_function_is_refused(name, monkeypatch):
    """Each way to compute is timed once: the kind of cache takes no time."""
    refused, timed = {}, set()
    for style, functions in STYLES[name].items():
        with monkeypatch.context() as patch:
            if style.partition(",")[0] in timed:
                patch.setattr(checks, "check_speed", lambda *arguments: None)
            timed.add(style.partition(",")[0])
            result = check(name, **with_needed(functions, name))
        if not result:
            refused[style] = result.message
    assert refused == {}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FUNCTIONS)
def test_right_functions_are_right_for_every_draw(name, monkeypatch):
    monkeypatch.setattr(checks, "check_speed", lambda *arguments: None)
    given = with_needed(COURSE, name)
    for draw in range(1, 9):
        answer = Answer(name, given[name], given)
        answer.draw = draw
        CHECKS[name](answer)
        assert answer.mistakes() == []


FORWARD = "affine_forward"
BROKEN = [
    (FORWARD, "return out, cache", "return out", "^affine_forward: expected .out, cache., found only"),
    (FORWARD, "return out, cache", "return out, cache, 3", "found 3 values"),
    (FORWARD, "return out, cache", "return list(out), cache", "shape .4, 6., found list"),
    (FORWARD, "return out, cache", "return out + 0j, cache", "expected floats, found complex128"),
    (FORWARD, "return out, cache", "return 'out', cache", "found str"),
    (FORWARD, "return out, cache", "pass", "returned None"),
    (FORWARD, "return out, cache", "raise NotImplementedError", "not answered yet"),
    (FORWARD, "return out, cache", "return out[:, :0], cache", "found .4, 0."),
    (FORWARD, "return out, cache", "return out * np.nan, cache", "24 of 24 values are NaN"),
    (FORWARD, "return out, cache", "return 1 / 0, cache", "raised ZeroDivisionError.*line 6"),
    ("affine_backward", "return dx, dw, db", "return dx, None, db", "dw: expected an array.*found None"),
    ("relu_backward", "return dx", "return 3.0", "expected an array of shape .4, 5., found float"),
    (
        "softmax_loss",
        "return loss, dx",
        "return np.array([loss]), dx",
        "loss: expected one number.*shape is wrong",
    ),
    ("adam", "return next_w, config", "return next_w, None", "found a NoneType as config"),
    ("sgd_momentum", 'config["velocity"] = v', "config = {}", "velocity is not stored in config"),
    ("batchnorm_forward", 'bn_param["running_mean"] =', "unused =", "running_mean: not updated"),
]
BROKEN_FORWARD = [
    ("return out, cache", "return out", "affine_forward: expected .out, cache"),
    ("return out, cache", "raise ValueError('no')", "needs affine_forward, which raised ValueError: no"),
    ("return out, cache", "raise NotImplementedError", "needs affine_forward, which is not answered"),
    (
        "cache = (x, w, b)",
        "cache = (x, 2 * w, b); out = 2 * out",
        "affine_forward, whose cache it gets, is wrong, too",
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "pattern"), BROKEN)
def test_a_broken_function_is_one_line(name, old, new, pattern):
    assert re.search(pattern, message(name, old, new))


@pytest.mark.parametrize(("old", "new", "pattern"), BROKEN_FORWARD)
def test_a_broken_forward_function_is_said_to_be_so(old, new, pattern):
    assert re.search(pattern, message("affine_backward", old, new, FORWARD))


def test_a_backward_function_needs_its_forward_function():
    result = check("affine_backward", COURSE["affine_backward"])
    call = r"check\('affine_backward', affine_backward, affine_forward\)"
    assert re.search(f"needs the cache of your affine_forward: {call}", result.message)
    result = check("affine_backward", COURSE["affine_backward"], affine_forward=3)
    assert "affine_forward: expected a function, found int" in result.message
    with pytest.raises(npgrad.NpgradError, match="no function of affine_backward 'relu_forward'"):
        check("affine_backward", COURSE["affine_backward"], relu_forward=COURSE["relu_forward"])


def test_what_is_not_answered_yet():
    def not_yet(*arguments):
        raise NotImplementedError

    assert check("affine_backward", not_yet, not_yet).message == "affine_backward: not answered yet"
    assert (
        check("affine_backward", not_yet, COURSE["affine_forward"]).message
        == "affine_backward: not answered yet"
    )
    result = check("affine_backward", COURSE["affine_backward"], not_yet)
    assert result.message == "affine_backward: needs affine_forward, which is not answered yet"


def test_equal_largest_values_are_a_remark():
    given = with_needed(COURSE, "max_pool_backward_naive")
    result = check("max_pool_backward_naive", *given.values())
    assert result and "equal largest values of a window get dout each" in result.message
    shared = next(f for style, f in STYLES["max_pool_backward_naive"].items() if "pool_shared" in style)
    result = check("max_pool_backward_naive", **with_needed(shared, "max_pool_backward_naive"))
    assert result and result.message == ""


def test_a_chain_of_calls():
    def first(x, options):
        options["n"] = options.get("n", 0) + 1
        return x + 1, lambda: x

    def second(dy, cache):
        dy += 1
        cache()[0] = 7
        return dy

    x, dy, options = np.zeros(2), np.ones(2), {}
    steps = [
        Step("first", [x, options], (1,)),
        Step("first", [x.copy(), options], (1,)),
        Step("second", [dy, Kept(1, 1)]),
    ]
    replies = run({"first": first, "second": second}, steps, None)
    assert [reply["dicts"] for reply in replies] == [{"1": {"n": 1}}, {"1": {"n": 2}}, {}]
    assert replies[0]["value"][1] == "function" and np.array_equal(replies[0]["value"][0], [1, 1])
    assert [reply["changed"] for reply in replies] == [[], [], [[1, 0], [2, 0]]]
    assert (x == 0).all() and (dy == 1).all() and options == {}
    assert len(run({"first": lambda x, o: x, "second": second}, steps, None)) == 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if not name.startswith("dropout")])
def test_each_fault_is_told_from_every_other(name, monkeypatch):
    """What a fault returns gets the words of that fault, or of one that returns the same."""
    from npgrad.course.layers_by_hand import _calls, _judge, _optim_checks, _running

    judged = []  # (the right results, all values, the faults) of each case
    for module in (_calls, _optim_checks, _running):
        monkeypatch.setattr(module, "judge", lambda *arguments, **options: judged.append(arguments[:3]))
    given = with_needed(COURSE, name)
    CHECKS[name](Answer(name, given[name], given))
    silent = []
    for key, fault in FAULTS[name].items():
        told = False
        for found, right, faults in judged:
            if fault not in faults.values():
                continue
            with np.errstate(all="ignore"):
                wrong = {k: v for k, v in fault.wrong(right).items() if k in found}
            if all(_judge.close(v, getattr(right, k), 1e-8) for k, v in wrong.items()):
                continue
            with pytest.raises(Wrong) as raised:
                _judge.judge({**found, **wrong}, right, faults, "", ordered=False)
            told = told or fault.text in str(raised.value) or "NaN" in str(raised.value)
        if not told:
            silent.append(key)
    assert silent == []


@pytest.mark.exhaustive
def test_no_right_function_has_the_bytecode_of_npgrads():
    from npgrad.course.submissions import _observe
    from npgrad.course.submissions._remote import originals

    table = originals()
    functions = [COURSE[name] for name in FUNCTIONS]
    for module in layers_by_hand.STYLES:
        functions += [each for each in vars(module).values() if hasattr(each, "__code__")]
    assert len(functions) > 90
    assert [each.__name__ for each in functions if table.get(_observe.fingerprint(each.__code__))] == []
