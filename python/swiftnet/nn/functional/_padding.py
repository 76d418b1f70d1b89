"""Padding, and one-hot encoding."""

from swiftnet._core import integers, lib, scalar
from swiftnet._functions.indexing import _tensor_handle
from swiftnet._tensor import wrap


def pad(input, pad, mode="constant", value=None):
    """Pads before and after, from the last dimension on: (last before, last after, second to last before, …).

    Args:
        pad: amounts; negative ones cut off.
        mode: "constant", "reflect" (mirrored without the border element), "replicate" (the border element) or
            "circular". All but constant pad the last one to three dimensions of an input with one or two more.
        value: what "constant" fills in. Default: 0.
    """
    h = _tensor_handle(input, "input", "pad")
    if value is not None and mode != "constant" and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    amounts = integers(pad)
    return wrap(lib.sn_pad(h, amounts, len(amounts), mode.encode(), scalar(0 if value is None else value)))


def one_hot(tensor, num_classes=-1):
    """Rows of zeros with a one at the class that each element (int64) names, in a new last dimension.

    Args:
        num_classes: length of the rows. Default: the largest class and one more.
    """
    return wrap(lib.sn_one_hot(_tensor_handle(tensor, "tensor", "one_hot"), num_classes))
