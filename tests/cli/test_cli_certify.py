"""`npgrad certify IMAGE`."""

import json

from npgrad.layers import ReLU


def test_the_command(run, weights, photo, monkeypatch):
    code, out, err = run("certify", photo, "--weights", weights)
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith("right: ")
    code, out, _ = run("certify", photo, "--weights", weights, "--json")
    result = json.loads(out)
    assert code == 0 and result["right"] and result["layers"][-1]["name"] == "network"
    right = ReLU.backward
    monkeypatch.setattr(ReLU, "backward", lambda self, dy, cache: right(self, dy, cache) * 1.001)
    code, out, _ = run("certify", photo, "--weights", weights, "--json")
    assert code == 1 and all("relu" in name for name in json.loads(out)["faulty"])
