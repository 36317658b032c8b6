"""The line with which a call refuses."""

from npgrad import WeightsError


def line(call, *arguments):
    """The whole line with which a call refuses; or what comes of it instead."""
    try:
        return f"not refused: {call(*arguments)!r:.40}"
    except WeightsError as error:
        return str(error)
