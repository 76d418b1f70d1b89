"""Operations, a module per family. Each is a function of its tensors; most are methods too, attached by `methods`."""

from swiftnet._tensor import Tensor


def methods(*functions, **renamed):
    """Makes functions methods of Tensor, under their own name or another."""
    for function in functions:
        setattr(Tensor, function.__name__, function)
    for name, function in renamed.items():
        setattr(Tensor, name, function)
