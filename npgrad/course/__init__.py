"""The homework on image gradients (Georgia Tech CS7643, after Stanford's CS231n), on NumPy arrays.

The functions have the course's names, meanings and defaults, and return what the course's functions return.
`X` is a preprocessed batch (N, 3, H, W) and `y` holds one class index per image. The layers that the course calls
``features[3]`` and ``features[12]`` are ``fire2`` and ``fire9`` of SqueezeNet 1.1.
"""

from npgrad.course.attributions import (
    compute_attributions,
    compute_saliency_maps,
    grad_cam,
    guided_backprop,
    guided_grad_cam,
)
from npgrad.course.by_hand import ByHand
from npgrad.course.checks import content_loss_test, gram_matrix_test, style_loss_test, tv_loss_test
from npgrad.course.gradient_ascent import (
    blur_image,
    class_visualization_update_step,
    create_class_visualization,
    jitter,
    make_fool_image,
    make_fooling_image,
)
from npgrad.course.grading import QUESTIONS, Question, Result, check, grade
from npgrad.course.images import (
    IMAGENET_VAL_URL,
    SQUEEZENET_MEAN,
    SQUEEZENET_STD,
    deprocess,
    load_imagenet_val,
    preprocess,
)
from npgrad.course.style import (
    content_loss,
    extract_features,
    gram_matrix,
    style_loss,
    style_transfer,
    tv_loss,
)

__all__ = [
    "ByHand", "IMAGENET_VAL_URL", "QUESTIONS", "Question", "Result", "SQUEEZENET_MEAN", "SQUEEZENET_STD", "blur_image",
    "check", "class_visualization_update_step", "compute_attributions", "compute_saliency_maps",
    "content_loss", "content_loss_test", "create_class_visualization", "deprocess", "extract_features",
    "grad_cam", "grade", "gram_matrix", "gram_matrix_test", "guided_backprop", "guided_grad_cam", "jitter",
    "load_imagenet_val", "make_fool_image", "make_fooling_image", "preprocess", "style_loss",
    "style_loss_test", "style_transfer", "tv_loss", "tv_loss_test",
]  # fmt: skip
