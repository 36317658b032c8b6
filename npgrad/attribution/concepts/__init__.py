"""Concepts that people have words for, such as stripes: does the network use them for a class?

from npgrad.attribution.concepts import examples, tcav

striped = examples(model, npgrad.scenes.of_class("striped", 30))        # or the path of a folder
others = examples(model, "random-photos")
print(tcav(model, zebras, "zebra", {"striped": striped}, others, layer="fire8"))
"""

from npgrad.attribution.concepts.examples import examples
from npgrad.attribution.concepts.testing import Tcav, tcav
from npgrad.attribution.concepts.vectors import ConceptVector, concept_vector

__all__ = ["ConceptVector", "Tcav", "concept_vector", "examples", "tcav"]
