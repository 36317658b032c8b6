"""A table of allowed globals to test the pickle reader with."""

from pickle_writer import named

from npgrad.io.formats import _pickles as pickles


class Box:
    """What a table's function may give: an object with a state."""

    def __init__(self, *arguments):
        self.state = arguments

    def set_state(self, state):
        (self.state,) = pickles.unpack(state, "a state of", str)


def make_dict(*arguments):
    table = {}
    for key, value in arguments[0] if arguments else ():
        pickles.put(table, key, value)
    return table


GLOBALS = {("here", "Box"): Box, ("here", "marker"): "marker", ("collections", "OrderedDict"): make_dict}
BOX, MARKER, ORDERED = named("here", "Box"), named("here", "marker"), named("collections", "OrderedDict")


def read(data, **options):
    return pickles.load_whole(data, "w.pth", GLOBALS, **options)
