"""The checks of the notebook NetworkVisualization, by function."""

from npgrad.course.grading._attributions import check_compute_attributions
from npgrad.course.grading._class_visualization import check_create_class_visualization, check_update_step
from npgrad.course.grading._fooling import check_make_fooling_image
from npgrad.course.grading._grad_cam import check_grad_cam, check_guided_grad_cam
from npgrad.course.grading._saliency import check_guided_backprop, check_saliency

CHECKS = {
    "compute_saliency_maps": check_saliency,
    "guided_backprop": check_guided_backprop,
    "grad_cam": check_grad_cam,
    "guided_grad_cam": check_guided_grad_cam,
    "compute_attributions": check_compute_attributions,
    "make_fooling_image": check_make_fooling_image,
    "class_visualization_update_step": check_update_step,
    "create_class_visualization": check_create_class_visualization,
}
