"""An endless, seeded source of drawn images whose truth is known: what each shows, and where.

    image, label, mask = npgrad.scenes.scene(7, seed=0, size=224)
    npgrad.scenes.CLASSES[label]

Half the classes are shapes (a ring, a key, a spiral ...) in any smooth coloring; half are surfaces (brick,
marble, wood ...) on objects of no particular shape. So a network has to see both outline and texture, and
color alone tells nothing.
"""

from npgrad.scenes.composing import CLASSES, scene, two_objects

__all__ = ["CLASSES", "scene", "two_objects"]
