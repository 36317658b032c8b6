"""The layers of CS231n's first two assignments, by hand: what is checked, and how a wrong answer is diagnosed.

The functions have the names, arguments and return values of CS231n's `layers.py` and `optim.py`; a solution that was
written for the course needs no change. `x` is a float64 batch, `cache` whatever the forward function likes to keep:

    affine_forward(x, w, b) -> out, cache                        affine_backward(dout, cache) -> dx, dw, db
    relu_forward(x) -> out, cache                                relu_backward(dout, cache) -> dx
    softmax_loss(x, y) -> loss, dx                               svm_loss(x, y) -> loss, dx
    batchnorm_forward(x, gamma, beta, bn_param) -> out, cache    batchnorm_backward(dout, cache) -> dx, dgamma, dbeta
                                                                 batchnorm_backward_alt, the same in one formula
    layernorm_forward(x, gamma, beta, ln_param) -> out, cache    layernorm_backward(dout, cache) -> dx, dgamma, dbeta
    dropout_forward(x, dropout_param) -> out, cache              dropout_backward(dout, cache) -> dx
    conv_forward_naive(x, w, b, conv_param) -> out, cache        conv_backward_naive(dout, cache) -> dx, dw, db
    max_pool_forward_naive(x, pool_param) -> out, cache          max_pool_backward_naive(dout, cache) -> dx
    spatial_batchnorm_forward(x, gamma, beta, bn_param)          spatial_batchnorm_backward(dout, cache)
    spatial_groupnorm_forward(x, gamma, beta, G, gn_param)       spatial_groupnorm_backward(dout, cache)
    sgd_momentum(w, dw, config=None), rmsprop(...), adam(...) -> next_w, config

The parameters are CS231n's: `bn_param` has `mode` ("train" or "test"), `eps` (1e-5), `momentum` (0.9), and gets
`running_mean` and `running_var`; `dropout_param` has `p`, the probability to keep a value, `mode` and perhaps `seed`;
`conv_param` has `stride` and `pad`; `pool_param` has `pool_height`, `pool_width` and `stride`. For group normalization,
`gamma` and `beta` have the shape (1, C, 1, 1), and so have their gradients.

These are ours, in the same style. A convolution has stride 1 and is padded so that its output is as large as its input:

    residual_forward(x, w1, b1, w2, b2) -> out, cache            out = relu(x + conv2(relu(conv1(x)))), both 3 x 3
    residual_backward(dout, cache) -> dx, dw1, db1, dw2, db2
    inception_forward(x, w1, b1, w3, b3, w5, b5) -> out, cache   out = [conv1(x), conv3(x), conv5(x)]; 1 x 1 to 5 x 5
    inception_backward(dout, cache) -> dx, dw1, db1, dw3, db3, dw5, db5
    fire_forward(x, ws, bs, w1, b1, w3, b3) -> out, cache        s = relu(squeeze(x)), 1 x 1;
    fire_backward(dout, cache)                                   out = [relu(conv1(s)), relu(conv3(s))], 1 x 1 and 3 x 3
        -> dx, dws, dbs, dw1, db1, dw3, db3
    global_avg_pool_forward(x) -> out (N, C), cache              global_avg_pool_backward(dout, cache) -> dx

[ ] concatenates along the channels, in this order.

A function is checked by name. A backward function gets the cache of your own forward function, which is passed too:

    check("affine_forward", affine_forward)
    check("affine_backward", affine_backward, affine_forward)    or affine_backward=..., affine_forward=...

A question of a homework checks its functions together; a backward function and its forward function belong to the same
question. `npgrad.course.layers_by_hand.checks` has the CHECKS, {function: check}; FUNCTIONS says which forward function
each one needs.

The forward and the backward function are called one after another where the student's code runs
(`npgrad.course.grading._chain`), so that a cache may hold anything, and only arrays are compared elsewhere.
"""

# {function: the functions whose results it needs}
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "affine_forward": (),
    "affine_backward": ("affine_forward",),
    "relu_forward": (),
    "relu_backward": ("relu_forward",),
    "softmax_loss": (),
    "svm_loss": (),
    "batchnorm_forward": (),
    "batchnorm_backward": ("batchnorm_forward",),
    "batchnorm_backward_alt": ("batchnorm_forward",),
    "layernorm_forward": (),
    "layernorm_backward": ("layernorm_forward",),
    "dropout_forward": (),
    "dropout_backward": ("dropout_forward",),
    "conv_forward_naive": (),
    "conv_backward_naive": ("conv_forward_naive",),
    "max_pool_forward_naive": (),
    "max_pool_backward_naive": ("max_pool_forward_naive",),
    "spatial_batchnorm_forward": (),
    "spatial_batchnorm_backward": ("spatial_batchnorm_forward",),
    "spatial_groupnorm_forward": (),
    "spatial_groupnorm_backward": ("spatial_groupnorm_forward",),
    "global_avg_pool_forward": (),
    "global_avg_pool_backward": ("global_avg_pool_forward",),
    "residual_forward": (),
    "residual_backward": ("residual_forward",),
    "inception_forward": (),
    "inception_backward": ("inception_forward",),
    "fire_forward": (),
    "fire_backward": ("fire_forward",),
    "sgd_momentum": (),
    "rmsprop": (),
    "adam": (),
}
