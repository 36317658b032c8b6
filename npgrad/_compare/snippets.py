"""Code that people copy: how to record a network in another framework."""

TORCH = """\
# Record a torch network for `npgrad compare recorded.npz`: every module's output, and the gradients of all outputs.
import numpy as np
import torch


def record(net, x, path="recorded.npz"):
    arrays, calls = {}, {}

    def array(t):  # a copy, which a layer with inplace=True cannot change afterwards
        return t.detach().cpu().to(torch.float32 if t.dtype == torch.bfloat16 else t.dtype).numpy().copy()

    def hook(name):
        def after(module, inputs, y):
            if torch.is_tensor(y):
                calls[name] = calls.get(name, 0) + 1
                key = name if calls[name] == 1 else f"{name}:{calls[name]}"
                arrays[key] = array(y)
                if y.requires_grad:
                    y.register_hook(lambda dy: arrays.update({f"grad:{key}": array(dy)}))
        return after

    arrays["input"] = array(x)
    hooks = [module.register_forward_hook(hook(name)) for name, module in net.named_modules() if name]
    x = x.detach().clone().requires_grad_()
    y = net(x)
    (y * torch.randn_like(y)).sum().backward()  # or your loss of y
    arrays["grad:input"] = array(x.grad)
    for one in hooks:
        one.remove()
    np.savez(path, **arrays)


# record(net.eval(), x)    with x the preprocessed images, a tensor (N, C, H, W)
"""

JAX = """\
# Record a network of flax.linen for `npgrad compare recorded.npz`: every module's output, and the gradients of all.
import flax.linen as nn
import jax
import numpy as np


def record(model, variables, x, path="recorded.npz"):
    def run(x, shifts):  # shifts of 0, whose gradients are those of the outputs that they are added to
        outputs = {}

        def watch(call, args, kwargs, context):
            y = call(*args, **kwargs)
            name = ".".join(context.module.path)
            if name and context.method_name == "__call__" and isinstance(y, jax.Array):
                calls = sum(key.split(":")[0] == name for key in outputs)
                key = name if not calls else f"{name}:{calls + 1}"
                y = outputs[key] = y + shifts.get(key, 0)
            return y

        with nn.intercept_methods(watch):
            return model.apply(variables, x), outputs

    y, outputs = run(x, {})
    dy = jax.random.normal(jax.random.key(0), y.shape)  # or the gradient of your loss
    zeros = {key: 0 * output for key, output in outputs.items()}
    dx, gradients = jax.grad(lambda x, shifts: (run(x, shifts)[0] * dy).sum(), (0, 1))(x, zeros)
    arrays = {"input": x, **outputs, "grad:input": dx, **{f"grad:{key}": dy for key, dy in gradients.items()}}
    np.savez(path, **{key: np.asarray(array) for key, array in arrays.items()})


# record(model, variables, x)    with x the preprocessed images (N, H, W, C)
"""

KERAS = """\
# Record a Keras model for `npgrad compare recorded.npz`: every layer's output; with TensorFlow, the gradients of all.
import keras
import numpy as np


def record(model, x, path="recorded.npz"):
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    watched = keras.Model(model.inputs, [layer.output for layer in layers])
    names, gradients = ["input", *(layer.name for layer in layers)], []
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = watched(x, training=False)
            score = tf.reduce_sum(outputs[-1] * tf.random.normal(outputs[-1].shape))  # or your loss
        gradients = tape.gradient(score, [x, *outputs])
    else:
        outputs = watched(x, training=False)
    arrays = dict(zip(names, [x, *outputs]))
    arrays.update({f"grad:{name}": dy for name, dy in zip(names, gradients) if dy is not None})
    np.savez(path, **{key: keras.ops.convert_to_numpy(array) for key, array in arrays.items()})


# record(model, x)    with a functional or Sequential model, and x the preprocessed images (N, H, W, C)
"""

SNIPPETS = {"torch": TORCH, "jax": JAX, "keras": KERAS}
