"""A generator of labeled images, with a mask of the object in each: an unlimited data set with ground truth.

    image, label, mask = npgrad.scenes.scene(7, seed=0, size=224)
    npgrad.scenes.CLASSES[label]

Half of the classes are shapes (ring, key, spiral ...) in any smooth coloring; half are textures (brick, marble,
wood ...) on objects of any shape. A network has to recognize both outline and texture, and color alone is not
informative.
"""

from npgrad.scenes._composing import CLASSES, scene, two_objects
from npgrad.scenes._one_class import of_class

__all__ = ["CLASSES", "of_class", "scene", "two_objects"]
