"""Draw the images of docs/howto/gradients.md: a network that was ported with three mistakes, beside the bundled one.

    python scripts/gradient_pictures.py

The port is npgrad's own network with layers changed, so that no other framework is needed; scenes are drawn.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import npgrad
from npgrad._compare import compare
from npgrad._compare.report import page_of
from npgrad.attribution import saliency
from npgrad.attribution.ledgers import lrp_ledger
from npgrad.images.heat_maps import heat_map
from npgrad.images.sheets import contact_sheet
from npgrad.layers import ReLU

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "gradients"


def port(model):
    """The network as somebody ported it: one kernel is flipped, and a ReLU's backward is that of guided backprop."""

    class Guided(ReLU):
        def backward(self, dy, cache):
            return super().backward(dy * (dy > 0), cache)

    parts = dict(model.network.parts())
    flipped = parts["fire4"].expand3x3.weight[:, :, ::-1, ::-1]
    expand = dataclasses.replace(parts["fire4"].expand3x3, weight=flipped)
    parts["fire4"] = dataclasses.replace(parts["fire4"], expand3x3=expand)
    parts["relu1"] = Guided()
    return dataclasses.replace(model, network=model.network.with_parts(parts))


def recording(model, x):
    """What a framework would record of all layers."""
    tape = model.forward(x)
    names = [record.name for record in tape]
    dy = np.eye(tape.output.shape[1], dtype=np.float32)[[np.argmax(tape.output)]]
    gradients = tape.backward(dy, at=(*names, "input"))
    outputs = {name: np.array(tape[name]) for name in names}
    return {"input": x, **outputs, **{f"grad:{name}": np.array(gradients[name]) for name in gradients}}


def bars(ledger, rows=14):
    """A bar for each of the last layers: what went on, and what biases kept."""
    shown = [row for row in ledger.rows if row.kind in ("Conv2d", "Linear")][:rows]
    width, height, left = 760, 22 * len(shown) + 40, 160
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    values = [value for row in shown for value in (row.outgoing, row.biases, 0.0)]
    scale = (width - left - 20) / (max(values) - min(values))
    middle = int(left + 10 - min(values) * scale)
    for i, row in enumerate(shown):
        y = 30 + 22 * i
        draw.text((6, y + 2), row.name, fill="black")
        for value, color, top in ((row.outgoing, (33, 102, 172), 1), (row.biases, (178, 24, 43), 10)):
            end = middle + value * scale
            draw.rectangle((min(middle, end), y + top, max(middle, end), y + top + 7), fill=color)
    draw.line((middle, 24, middle, height - 8), fill="gray")
    draw.text(
        (left, 6),
        f"relevance passed on (blue) and kept by the bias (red); score {ledger.start:.3g}",
        fill="black",
    )
    return image


def photographed(page, path):
    """Save how a browser shows the upper part of a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page(viewport={"width": 1000, "height": 1500})
        tab.set_content(page)
        tab.screenshot(path=path)
        browser.close()
    Image.open(path).quantize(250).save(path, optimize=True)


def main():
    FOLDER.mkdir(exist_ok=True)
    model = npgrad.load().with_preprocessing(crop=112)
    wrong = port(model)
    for seed in range(3, 40):  # the first scene that both recognize, at this small size
        image, label, _ = npgrad.scenes.scene(seed)
        x = model.preprocess(image)
        if all(one.predict(x, top=1)[0][0][0] == label for one in (model, wrong)):
            break
    maps = [np.abs(saliency(one, x, label)[0]).sum(axis=0) for one in (model, wrong)]
    shown = model.preprocessing.view(image, zoom=2)
    tiles = [Image.fromarray(shown), *(heat_map(one, shown, sign="absolute") for one in maps)]
    labels = ["the image", "the gradient by npgrad", "the gradient of the port"]
    contact_sheet(tiles, labels, columns=3).save(FOLDER / "two.png")
    comparison = compare(model, recording(wrong, x))
    print(comparison)
    photographed(page_of(comparison, "The port and the bundled network"), FOLDER / "report.png")
    ledger = lrp_ledger(model, x, label)
    print(ledger)
    bars(ledger).save(FOLDER / "ledger.png")


if __name__ == "__main__":
    main()
