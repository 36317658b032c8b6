"""Attribution: which parts of an image a network's score depends on. One function per method.

All are called as ``method(model, x, target=None, ...)`` with x (N, C, H, W) and one target per image (None: the
top class), and return raw arrays, neither normalized nor resized. `npgrad.evaluation` measures how good an
attribution is.
"""

from npgrad.attribution.ablation import (
    feature_ablation,
    feature_permutation,
    layer_ablation,
    layer_feature_permutation,
)
from npgrad.attribution.activation_cams import fem, kpca_cam, random_cam
from npgrad.attribution.augmented import aug_smooth
from npgrad.attribution.blur_ig import blur_ig
from npgrad.attribution.deep_lift import deep_lift, deep_lift_shap, layer_deep_lift
from npgrad.attribution.eigen_cam import eigen_cam, eigen_grad_cam
from npgrad.attribution.excitation_backprop import excitation_backprop
from npgrad.attribution.factorization import feature_factorization
from npgrad.attribution.finer_cam import finer_cam
from npgrad.attribution.full_grad import full_grad
from npgrad.attribution.grad_cam import (
    grad_cam,
    grad_cam_elementwise,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    x_grad_cam,
)
from npgrad.attribution.gradient_shap import gradient_shap
from npgrad.attribution.gradients import deconvolution, guided_backprop, input_x_gradient
from npgrad.attribution.guided_grad_cam import guided_grad_cam
from npgrad.attribution.guided_ig import guided_ig
from npgrad.attribution.hessian import hvp
from npgrad.attribution.integrated_gradients import integrated_gradients
from npgrad.attribution.layer_paths import internal_influence, layer_conductance, layer_integrated_gradients
from npgrad.attribution.layer_shap import layer_deep_lift_shap, layer_gradient_shap
from npgrad.attribution.layers import every_layer, layer_activation, layer_gradient_x_activation
from npgrad.attribution.lrp import composite_by_position, layer_lrp, lrp
from npgrad.attribution.neuron_references import (
    neuron_deconvolution,
    neuron_deep_lift,
    neuron_feature_ablation,
    neuron_gradient_shap,
)
from npgrad.attribution.neurons import (
    neuron_conductance,
    neuron_gradient,
    neuron_guided_backprop,
    neuron_integrated_gradients,
)
from npgrad.attribution.occlusion import occlusion
from npgrad.attribution.perturbed_cams import ablation_cam, score_cam
from npgrad.attribution.rise import rise
from npgrad.attribution.saliency import saliency
from npgrad.attribution.segments import grid, superpixels
from npgrad.attribution.shapley import shapley_value_sampling, shapley_values
from npgrad.attribution.shapley_cam import shapley_cam
from npgrad.attribution.smoothgrad import smoothgrad
from npgrad.attribution.surrogates import kernel_shap, lime
from npgrad.attribution.xrai import xrai
from npgrad.images.resize import resize_map

__all__ = [
    "ablation_cam",
    "aug_smooth",
    "blur_ig",
    "composite_by_position",
    "deconvolution",
    "deep_lift",
    "deep_lift_shap",
    "eigen_cam",
    "eigen_grad_cam",
    "every_layer",
    "excitation_backprop",
    "feature_ablation",
    "feature_factorization",
    "feature_permutation",
    "fem",
    "finer_cam",
    "full_grad",
    "grad_cam",
    "grad_cam_elementwise",
    "grad_cam_plus_plus",
    "gradient_shap",
    "grid",
    "guided_backprop",
    "guided_grad_cam",
    "guided_ig",
    "hires_cam",
    "hvp",
    "input_x_gradient",
    "integrated_gradients",
    "internal_influence",
    "kernel_shap",
    "kpca_cam",
    "layer_ablation",
    "layer_activation",
    "layer_cam",
    "layer_conductance",
    "layer_deep_lift",
    "layer_deep_lift_shap",
    "layer_feature_permutation",
    "layer_gradient_shap",
    "layer_gradient_x_activation",
    "layer_integrated_gradients",
    "layer_lrp",
    "lime",
    "lrp",
    "neuron_conductance",
    "neuron_deconvolution",
    "neuron_deep_lift",
    "neuron_feature_ablation",
    "neuron_gradient",
    "neuron_gradient_shap",
    "neuron_guided_backprop",
    "neuron_integrated_gradients",
    "occlusion",
    "random_cam",
    "resize_map",
    "rise",
    "saliency",
    "score_cam",
    "shapley_cam",
    "shapley_value_sampling",
    "shapley_values",
    "smoothgrad",
    "superpixels",
    "x_grad_cam",
    "xrai",
]
