"""The families of methods: what belongs together on a sheet, and why a map of a family is blank."""

FAMILIES = {
    "gradients": (
        "saliency", "input_x_gradient", "guided_backprop", "deconvolution", "smoothgrad", "full_grad",
        "guided_grad_cam",
    ),
    "gradients along a path": (
        "integrated_gradients", "blur_ig", "guided_ig", "gradient_shap", "xrai",
    ),
    "scores passed back by rules": ("deep_lift", "deep_lift_shap", "lrp", "excitation_backprop"),
    "parts of the image covered": (
        "occlusion", "feature_ablation", "rise", "lime", "kernel_shap", "shapley_values",
        "shapley_value_sampling",
    ),
    "class activation maps by gradients": (
        "grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "x_grad_cam", "grad_cam_elementwise",
        "finer_cam", "shapley_cam", "eigen_grad_cam", "aug_smooth",
    ),
    "class activation maps without gradients": (
        "score_cam", "ablation_cam", "eigen_cam", "kpca_cam", "fem", "random_cam",
    ),
    "a layer": (
        "layer_activation", "layer_gradient_x_activation", "layer_integrated_gradients", "layer_conductance",
        "internal_influence", "layer_deep_lift", "layer_deep_lift_shap", "layer_gradient_shap", "layer_lrp",
        "layer_ablation",
    ),
}  # fmt: skip
"""The methods of each family, keys of `npgrad.attribution.methods.METHODS`."""

_ZERO = {
    "gradients": "the gradient is zero: dead",
    "gradients along a path": "the gradient is zero along the path: dead",
    "scores passed back by rules": "nothing arrives at the image",
    "parts of the image covered": "no part changes the score",
    "class activation maps by gradients": "no positive evidence at this layer",
    "class activation maps without gradients": "no positive evidence at this layer",
    "a layer": "all values are zero",
}


def family_of(name: str) -> str:
    """Return the family of a method.

    Parameters
    ----------
    name : str
        A key of `npgrad.attribution.methods.METHODS`.

    Returns
    -------
    str
        A key of `FAMILIES`.
    """
    return next(family for family, names in FAMILIES.items() if name in names)


def why_blank(name: str, blank: str) -> str:
    """Say why a map shows nothing.

    Parameters
    ----------
    name : str
        The method.
    blank : {"zero", "negative", "constant"}
        As `npgrad.images.overlays.shown_values` finds it.

    Returns
    -------
    str
    """
    if blank == "zero":
        return _ZERO[family_of(name)]
    return "no positive values" if blank == "negative" else "the same value everywhere"
