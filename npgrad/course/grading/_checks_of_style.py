"""The checks of the notebook StyleTransfer, by function, or by question and function."""

from npgrad.course.grading._features import check_extract_features
from npgrad.course.grading._losses import check_content_loss, check_gram_matrix, check_style_loss
from npgrad.course.grading._style_transfer import check_inversion, check_style_transfer
from npgrad.course.grading._total_variation import check_tv_loss

CHECKS = {
    "content_loss": check_content_loss,
    "gram_matrix": check_gram_matrix,
    "style_loss": check_style_loss,
    "tv_loss": check_tv_loss,
    "extract_features": check_extract_features,
    ("Q2.4", "style_transfer"): check_style_transfer,
    ("Q2.5", "style_transfer"): check_inversion,
}
