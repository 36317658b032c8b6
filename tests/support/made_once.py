"""Networks that several tests of a file use: each made when the first asks for it, and kept."""


class MadeOnce(dict):
    """{name: make(name)}, filled as names are asked for."""

    def __init__(self, names, make):
        self._names, self._make = tuple(names), make

    def __missing__(self, name):
        self[name] = self._make(name)
        return self[name]

    def __contains__(self, name):
        return name in self._names
