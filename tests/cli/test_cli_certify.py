"""`npgrad certify IMAGE`."""

import json

from npgrad.layers import ReLU


def test_the_command(run, folder, monkeypatch):
    photo, weights = folder / "photo.png", folder / "net.h5"
    code, out, err = run("certify", photo, "--weights", weights)
    assert code == 0 and "is seen by the network" in err and out.splitlines()[-1].startswith("right: ")
    code, out, _ = run("certify", photo, "--weights", weights, "--json")
    result = json.loads(out)
    assert code == 0 and result["right"] and result["layers"][-1]["name"] == "network"
    right = ReLU.backward
    monkeypatch.setattr(ReLU, "backward", lambda self, dy, cache: right(self, dy, cache) * 1.001)
    code, out, _ = run("certify", photo, "--weights", weights, "--json")
    assert code == 1 and all("relu" in name for name in json.loads(out)["faulty"])
