"""Whether what came of an attack is what must come of it."""

import functools
import re
import time

import numpy as np

REFUSALS = ("WeightsError", "ImageError", "InputError")
LONGEST = 1.0  # seconds of CPU time, on a machine that counts to a million in 15 ms


@functools.cache
def slowness():
    """How many times slower than that this machine is, at least 1."""
    began = time.process_time()
    for _ in range(3):
        sum(1 for _ in range(10**6))
    return max(1.0, (time.process_time() - began) / 3 / 0.015)


MEMORY = 256 << 20  # bytes


def fault(attack, result):
    """What is wrong with the result of an attack, in words; "" if nothing is."""
    if result is None:
        return "not tried: the child had died before"
    if "message" not in result:
        return result["outcome"]
    if result["events"]:
        return f"did more than read its file: {result['events'][:4]}"
    if result["secret"]:
        return "gave away the content of another file"
    if result["seconds"] > LONGEST * slowness():
        return f"took {result['seconds']:.1f} s"
    if result["memory"] > MEMORY:
        return f"took {result['memory'] >> 20} MiB"
    if attack.message is None or (attack.may_pass and result["outcome"] == "read"):
        return wrongly_refused(attack, result)
    return wrongly_said(attack, result)


def wrongly_said(attack, result):
    message, shown = result["message"], f"{result['outcome']}: {result['message'][:600]!r}"
    if result["outcome"] not in REFUSALS:
        return f"expected a refusal, found {shown}"
    if not message.isprintable() or len(message) > 1000:
        return f"expected one printable line, found {len(message)} characters: {shown}"
    if attack.file not in message:
        return f"expected the file's name in {shown}"
    if not re.search(attack.message, message):
        return f"expected {attack.message!r}, found {shown}"
    return ""


def wrongly_refused(attack, result):
    if result["outcome"] != "read":
        return f"expected it to be read, found {result['outcome']}: {result['message']}"
    if attack.pixels is None:
        return ""
    found, expected = np.array(result.get("pixels", [])), np.array(attack.pixels)
    if found.shape != expected.shape or np.abs(found - expected).max() > attack.tolerance:
        return f"expected pixels {attack.pixels}, found {result.get('pixels')}"
    return ""
