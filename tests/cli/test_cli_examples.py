"""The examples in the help of each command."""

import re

import pytest

import npgrad.cli

MADE = {  # what `npgrad demo`, `npgrad notebooks homework` and the downloads of `npgrad weights` and torchvision give
    "npgrad-demo", "npgrad-demo/scene.png", "npgrad-demo/style-scene.png", "npgrad-demo/scenes.png",
    "homework/NetworkVisualization.ipynb", "homework/StyleTransfer.ipynb", "squeezenet1_1-b8a52dc0.pth",
}  # fmt: skip


@pytest.mark.parametrize("name", npgrad.cli.COMMANDS)
def test_examples_use_files_that_a_command_makes(name):
    for line in npgrad.cli.COMMANDS[name].EXAMPLES.splitlines():
        words = re.sub(r'"[^"]*"', "quoted", line).split()
        outputs = {words[i + 1] for i, word in enumerate(words[:-1]) if word in ("-o", "--output")}
        written = {"--save-array", "--animate", "--checkpoint", "--compare"}
        outputs |= {words[i + 1] for i, word in enumerate(words[:-1]) if word in written}
        for word in words:
            if re.search(r"/|\.(jpe?g|png|h5|pth|net|onnx|txt|ipynb)$", word) and word not in outputs:
                assert {word, f"{word}.ipynb"} & MADE or word.startswith("your-"), line
