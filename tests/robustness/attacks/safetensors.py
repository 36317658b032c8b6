"""Safetensors: headers that lie about lengths, offsets, types and names."""

import json
import re

from safetensors_files import ATTACKS, GOOD, build, entry

from attacks import Attack
from attacks.torch_pth import NO_WEIGHTS, cut, parameters

MESSAGE = f"expected|found|twice|damaged|header|{NO_WEIGHTS}"


def headers():
    """{what: bytes}"""
    found = {}
    for length in (0, 1, 2, 2**16, 2**31, 2**32 - 1, 2**32, 2**40, 2**63, 2**64 - 1):
        body = json.dumps(GOOD).encode()
        found[f"a header of {length} bytes"] = length.to_bytes(8, "little") + body + bytes(8)
    for begin, end in (
        (0, 9),
        (1, 9),
        (0, 4),
        (8, 16),
        (4, 12),
        (-8, 0),
        (8, 0),
        (0, 2**63),
        (2**63, 2**63 + 8),
        (0, 2**70),
    ):
        found[f"bytes {begin} to {end}"] = build({"w": entry(begin=begin, end=end)}, bytes(8))
    for shape in (
        [3],
        [1],
        [],
        [0],
        [-2],
        [2, -1],
        [2.0],
        ["2"],
        [None],
        [[2]],
        [2**31, 2**31],
        [2**62, 2],
        [2**64],
        [1] * 40,
    ):
        if shape not in ([1] * 2,):
            found[f"shape {str(shape)[:30]}"] = build({"w": entry(shape)}, bytes(8))
    for dtype in (
        "I8",
        "U8",
        "I64",
        "BOOL",
        "F8_E4M3",
        "C64",
        "O",
        "f4",
        "",
        "F32 ",
        "os.system",
        None,
        32,
        ["F32"],
        {},
    ):
        found[f"type {dtype!r}"] = build({"w": entry(dtype=dtype)}, bytes(8))
    for begin in (0, 1, 4, 7):
        overlapping = {"a": entry(), "b": entry(begin=begin, end=begin + 8)}
        found[f"two tensors, the second at {begin}"] = build(overlapping, bytes(begin + 8))
    for begin in (9, 12, 100):
        found[f"a gap before byte {begin}"] = build(
            {"a": entry(), "b": entry(begin=begin, end=begin + 8)}, bytes(begin + 8)
        )
    return found


def texts():
    """{what: bytes}: headers that are not the JSON they should be."""
    some = json.dumps(entry())
    names = ("a\nb", "\x1b[2J", "\u2028", "n" * 10**5, "", "\0", "../w")
    found = {f"a tensor named {name[:8]!r}": build({name: entry()}, bytes(8)) for name in names}
    for what, text in {
        "deep lists": "[" * 10**6, "deep objects": '{"a":' * 10**5,
        "deep entries": '{"w":' + "[" * 5000 + "]" * 5000 + "}",
        "a number of a megabyte": '{"w":' + "9" * 10**6 + "}", "NaN": '{"w": NaN}', "Infinity": '{"w": -Infinity}',
        "1e999": '{"w": 1e999}', "a float shape": f'{{"w": {some.replace("[2]", "[2e0]")}}}', "no end": '{"w": ',
        "text after": "{} {}", "an empty header": "", "null": "null", "true": "true", "a comment": "{/* */}",
        "single quotes": "{'w': 1}", "a trailing comma": '{"w": 1,}', "a BOM": "\ufeff{}", "empty": "{}",
        "a lone surrogate": '{"\\ud800": ' + some + "}",
        "metadata of numbers": '{"__metadata__": 5, "w": ' + some + "}",
        "metadata of lists": '{"__metadata__": {"a": []}, "w": ' + some + "}", "only metadata": '{"__metadata__": {}}',
        "a thousand names": "{" + ", ".join(f'"w{i}": {some}' for i in range(1000)) + "}",
    }.items():  # fmt: skip
        found[what] = build(text, bytes(8))
    return found


def attacks():
    for what, (data, words) in ATTACKS.items():
        yield Attack(what, "w.safetensors", data, "convert", f"{re.escape(words)}|{NO_WEIGHTS}")
    for what, data in {**headers(), **texts(), **cut(build(GOOD, bytes(8)), 30)}.items():
        yield Attack(f"of its own: {what}", "w.safetensors", data, "convert", MESSAGE)


def good_files():
    from safetensors.numpy import save

    return [("convert", "w.safetensors", save({key: array.copy() for key, array in parameters().items()}))]
