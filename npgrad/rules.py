"""What backward may do at a layer instead of the layer's own backward.

A rule is a function (record, dy) -> dx, where the record has the layer, its input x, its output y and its
cache. It is chosen when backward is called, by layer type or name:

    tape.backward(seed, rules={ReLU: guided})

so no layer and no model is ever changed. `per_sample` says that what a rule does to one image does not depend on the
others of the batch.
"""


def guided(record, dy):
    """Guided backprop at a ReLU: pass on only what is positive, where the ReLU was open.

    Springenberg, Dosovitskiy, Brox, Riedmiller 2015, figure 1c.
    """
    return record.layer.backward(dy * (dy > 0), record.cache)


def deconv(record, dy):
    """The deconvolutional network at a ReLU: pass on only what is positive, open or not.

    Zeiler, Fergus 2014, section 2.1.
    """
    return dy * (dy > 0)


guided.per_sample = deconv.per_sample = True
