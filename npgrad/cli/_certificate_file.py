"""The certificate of an attribution, in a file beside its image: is backward right here, does the sum hold?"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from npgrad import __version__
from npgrad._files import atomic_write

LEDGERS = ("lrp", "deep_lift")
COMPLETE = ("integrated_gradients", "deep_lift")


def certificate_path(output):
    """Where the certificate of an image file is written: cat.png has cat.certificate.json."""
    return Path(output).with_suffix(".certificate.json")


def certificate_of(model, x, target, method, options, array):
    """{"certified": bool, "backward": ..., "ledger": ..., "completeness": ...} of one image x (1, C, H, W).

    backward: the dot-product test of every layer. ledger: of LRP and DeepLIFT, what every layer kept. completeness: of
    methods whose sum is the change of the score, how far it is from it.
    """
    from npgrad._certificates import certify
    from npgrad.attribution import ledgers
    from npgrad.attribution.methods import defaults

    certificate = certify(model, x)
    found = {"backward": {"right": bool(certificate), "said": str(certificate), **_plain(certificate)}}
    options = {**defaults(method, model, x, options.get("layer")), **options}
    ledger = None
    if method in LEDGERS:
        make = getattr(ledgers, f"{method}_ledger")
        kept = {key: options[key] for key in ("rules", "baseline") if key in options}
        ledger = make(model, x, target, **kept)
        found["ledger"] = {"closes": bool(ledger), "said": str(ledger), **_plain(ledger)}
    if method in COMPLETE:
        found["completeness"] = _completeness(model, x, target, options, array)
    right = bool(certificate) and (ledger is None or bool(ledger))
    tolerance = options.get("tolerance")
    if tolerance is not None:
        right = right and found["completeness"]["relative"] <= tolerance
    return {"certified": right, **found}


def _completeness(model, x, target, options, array):
    from npgrad.evaluation import completeness

    baseline = options.get("baseline")
    gap = float(completeness(model, x, array[None], target, baseline)[0])
    total = abs(float(np.sum(array, dtype=np.float64)))
    return {"sum": float(np.sum(array, dtype=np.float64)), "gap": gap, "relative": gap / (total or 1.0)}


def _plain(result):
    return dataclasses.asdict(result)


def write_certificate(certificate, about, path):
    """Write the certificate as JSON, whole or not at all."""
    text = json.dumps({"npgrad": __version__, **about, **certificate}, indent=1)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
