"""Write the table in docs/reference/methods.md, from the methods, their docstrings, and measured deviations.

python scripts/methods_table.py                             with the deviations in build/deviations.json
python -m pytest tests/attribution tests/models -m "not slow" -n 0 --deviations build/deviations.json     writes them
"""

import argparse
import inspect
import json
import math
import re
import sys
from pathlib import Path

from npgrad.attribution.methods import METHODS, function_of

BEGIN, END = "<!-- table: python scripts/methods_table.py -->\n", "<!-- end of the table -->\n"
FOLDER = Path(__file__).parents[1]
FILE = FOLDER / "docs" / "reference" / "methods.md"

# Other libraries that have the method under this or another name.
PEERS = {
    "Captum": """
        saliency input_x_gradient guided_backprop deconvolution integrated_gradients gradient_shap smoothgrad
        deep_lift deep_lift_shap lrp occlusion feature_ablation feature_permutation lime kernel_shap shapley_values
        shapley_value_sampling grad_cam guided_grad_cam layer_activation layer_ablation layer_feature_permutation
        layer_gradient_x_activation layer_integrated_gradients layer_conductance internal_influence layer_deep_lift
        layer_gradient_shap layer_deep_lift_shap layer_lrp""",
    "pytorch-grad-cam": """
        grad_cam grad_cam_plus_plus hires_cam layer_cam x_grad_cam eigen_cam eigen_grad_cam kpca_cam fem random_cam
        grad_cam_elementwise finer_cam shapley_cam score_cam ablation_cam full_grad feature_factorization""",
    "saliency": """
        saliency integrated_gradients smoothgrad occlusion grad_cam blur_ig guided_ig xrai""",
    "xplique": """
        saliency input_x_gradient guided_backprop deconvolution integrated_gradients smoothgrad occlusion rise lime
        kernel_shap grad_cam grad_cam_plus_plus fem""",
    "zennit": """
        saliency guided_backprop deconvolution integrated_gradients smoothgrad occlusion lrp excitation_backprop""",
}
# Why a deviation is larger than rounding in float64, and how large it may be.
WHY = {
    "integrated_gradients": (1e-7, "Captum rounds the nodes and weights of its quadrature to float32"),
    "layer_integrated_gradients": (1e-7, "Captum rounds the nodes and weights of its quadrature to float32"),
    "internal_influence": (1e-7, "Captum rounds the weights of its quadrature to float32"),
    "smoothgrad": (1e-7, "of integrated gradients, as above"),
    "blur_ig": (1e-4, "PAIR differentiates the blur by a difference quotient and cuts its kernels off"),
    "occlusion": (1e-7, "Captum counts windows in float32"),
    "score_cam": (1e-7, "masks are resized in float32"),
    "full_grad": (1e-7, "maps are resized in float32"),
}


def table(deviations):
    """The Markdown table, a row for each method. deviations: {method: text of the cell}."""
    rows = ["| method | what it is | where | also in | deviation | why |", "|---|---|---|---|---|---|"]
    for name, method in METHODS.items():
        page = function_of(name).__module__.replace(".", "/")
        cells = [
            f"[`{name}`](../../{page}.py)",
            method.note,
            place(name),
            also_in(name),
            deviations.get(name, ""),
            WHY.get(name, (0, ""))[1],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def place(name):
    """The equation, section or algorithm of its paper that the docstring of a method names."""
    text = re.sub(r"\s+", " ", inspect.getdoc(function_of(name)))
    found = re.search(
        r"\b(19|20)\d\d,? \(?((equation|eq\.|eqs\.|section|algorithm|theorem|definition) [\d.]*\d)", text
    )
    return found[2] if found else ""


def also_in(name):
    """The other libraries that have the method."""
    return ", ".join(peer for peer, names in PEERS.items() if name in names.split())


def rounded_up(number):
    """A positive number as a power of ten that is not below it; exactly equal results as 0."""
    return f"1e{math.ceil(math.log10(number))}" if number else "0"


def written():
    """{method: deviation} of the table as it is."""
    rows = re.findall(
        r"^\| \[`(\w+)`\][^|]*\|(?:[^|]*\|){3} ([^|]*) \|", FILE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--deviations", type=Path, default=FOLDER / "build" / "deviations.json", metavar="JSON"
    )
    measured = json.loads(parser.parse_args().deviations.read_text(encoding="utf-8"))
    new = table({name: rounded_up(off) for name, (off, _) in measured.items()})
    text = FILE.read_text(encoding="utf-8")
    text = re.sub(f"(?<={BEGIN})(.*?)(?={END})", lambda _: new, text, flags=re.DOTALL)
    FILE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
