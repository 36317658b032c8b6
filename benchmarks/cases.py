"""The cases: what is timed, with a function for each contender.

That function prepares everything and returns the function to time. `it` is a contender of contenders.py. The results
are compared before anything is timed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import style_step, training_step

BATCHES = (1, 8, 32)

# Allowed relative differences of results in float32. Where a value is next to a ReLU's kink, or two in a pool are
# nearly equal, rounding decides where a gradient goes: equal networks differ by up to 5e-3 (in float64, by 1e-15), and
# an untrained MobileNetV2 from itself by 2e-2 where pixels change by 1e-7 of their value.
CLOSE, GRADIENT = 1e-3, 3e-2


@dataclass(frozen=True)
class Case:
    """title: for the table. batches: those at which it can be measured.

    tolerance: see CLOSE. usual: the largest batch by default. long: takes minutes, so by default one thread only
    does batch 1. taken: how many cores other programs need meanwhile.
    """

    title: str
    npgrad: Callable
    torch: Callable
    onnxruntime: Callable | None = None
    products: Callable | None = None
    batches: tuple = BATCHES
    tolerance: float = CLOSE
    usual: int = 8
    long: bool = False
    taken: int = 0

    def of(self, contender):
        """The function that prepares this contender, or None; torch's is the same in both memory formats."""
        return self.torch if contender == "channels_last" else getattr(self, contender)


CASES = {
    "forward": Case(
        "forward",
        npgrad=lambda it: it.logits,
        torch=lambda it: it.logits,
        onnxruntime=lambda it: it.logits,
        products=lambda it: it.forward,
        usual=32,
    ),
    "gradient": Case(
        "forward + input gradient",
        npgrad=lambda it: it.input_gradient,
        torch=lambda it: it.input_gradient,
        products=lambda it: it.forward_and_back,
        usual=32,
        tolerance=GRADIENT,
    ),
    "gradient-busy": Case(
        "forward + input gradient while another program needs a core",
        npgrad=lambda it: it.input_gradient,
        torch=lambda it: it.input_gradient,
        batches=(1, 8),
        tolerance=GRADIENT,
        taken=1,
    ),
    "saliency": Case(
        "saliency",
        npgrad=lambda it: it.attribution("saliency"),
        torch=lambda it: it.captum("Saliency"),
        tolerance=GRADIENT,
    ),
    "guided-backprop": Case(
        "guided backprop",
        npgrad=lambda it: it.attribution("guided_backprop"),
        torch=lambda it: it.captum("GuidedBackprop"),
        tolerance=GRADIENT,
    ),
    "grad-cam": Case(
        "Grad-CAM",
        npgrad=lambda it: it.attribution("grad_cam", layer="fire9"),
        torch=lambda it: it.captum("LayerGradCam", it.net.features[-1]),
        tolerance=GRADIENT,
    ),
    "integrated-gradients": Case(
        "integrated gradients (50 steps)",
        npgrad=lambda it: it.attribution("integrated_gradients", n_steps=50),
        torch=lambda it: it.captum(
            "IntegratedGradients", n_steps=50, internal_batch_size=it.batch * it.copies_at_once(50)
        ),
        long=True,
        tolerance=GRADIENT,
    ),
    "smoothgrad": Case(
        "SmoothGrad (25 samples)",
        npgrad=lambda it: it.attribution(
            "smoothgrad", n_samples=25, noise_absolute=0.0 if it.checking else 0.5
        ),
        torch=lambda it: it.captum_smoothgrad(25),
        long=True,
        tolerance=GRADIENT,
    ),
    "occlusion": Case(
        "occlusion (45 px, stride 16)",
        npgrad=lambda it: it.attribution("occlusion", window=45, stride=16),
        torch=lambda it: it.captum(
            "Occlusion",
            sliding_window_shapes=(3, 45, 45),
            strides=(3, 16, 16),
            perturbations_per_eval=it.copies_at_once(1),
        ),
        long=True,
    ),
    "style-192": Case(
        "style transfer, a step at 192 px",
        npgrad=lambda it: style_step.in_npgrad(it, 192),
        torch=lambda it: style_step.in_torch(it, 192),
        batches=(1,),
    ),
    "style-512": Case(
        "style transfer, a step at 512 px",
        npgrad=lambda it: style_step.in_npgrad(it, 512),
        torch=lambda it: style_step.in_torch(it, 512),
        batches=(1,),
    ),
    "training": Case(
        "training, a step",
        npgrad=training_step.in_npgrad,
        torch=training_step.in_torch,
        batches=(32,),
        usual=32,
        tolerance=GRADIENT,
    ),
}
