"""How a tensor is shown: PyTorch's layout, with NumPy's formatting of numbers."""

from swiftnet import _dtypes
from swiftnet._numpy import np

__all__ = ["set_printoptions"]

_options = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Sets how tensors are shown; see `numpy.set_printoptions`."""
    for name, value in list(locals().items()):
        if name in _options and value is not None:
            _options[name] = value


def describe(t):
    """The text of a tensor."""
    data = t.detach()
    if data.dtype is _dtypes.bfloat16:
        data = data.float()
    array = data.numpy()
    prefix = "tensor("
    if array.size == 0 and array.ndim != 1:
        text = "[]"
    else:
        text = _format(array, prefix)
    suffixes = []
    if array.size == 0 and array.ndim != 1:
        suffixes.append(f"size={tuple(t.shape)}")
    default = _dtypes.ALL[_dtypes.default_code()]
    shown_by_digits = t.dtype in (default, _dtypes.int64, _dtypes.bool_) and array.size > 0
    if not shown_by_digits and not (array.size == 0 and t.dtype is default):
        suffixes.append(f"dtype={t.dtype}")
    node = t.grad_fn
    if node is not None:
        suffixes.append(f"grad_fn=<{node.name()}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    return prefix + ", ".join([text, *suffixes]) + ")"


def _format(array, prefix):
    floating = array.dtype.kind == "f"
    formatter = None
    if floating:
        formatter = {"float_kind": _float_formatter(array)}
    elif array.dtype.kind == "b":
        formatter = {"bool": lambda x: " True" if x else "False"}
        if array.ndim == 0:
            return str(bool(array))
    return np.array2string(
        array, separator=", ", prefix=prefix, formatter=formatter, threshold=_options["threshold"],
        edgeitems=_options["edgeitems"], max_line_width=_options["linewidth"],
    )  # fmt: skip


def _float_formatter(array):
    finite = array[np.isfinite(array)].astype(np.float64)
    precision = _options["precision"]
    nonzero = np.abs(finite[finite != 0])
    whole = finite.size > 0 and bool(np.all(finite == np.floor(finite)))
    scientific = False
    if nonzero.size:
        low, high = nonzero.min(), nonzero.max()
        scientific = high / low > 1000 or high > 1e8 or (not whole and low < 1e-4)
        if whole:
            scientific = high / low > 1000 and high > 1e8 or high > 1e8
    if _options["sci_mode"] is not None:
        scientific = _options["sci_mode"]

    def text(x):
        if not np.isfinite(x):
            return str(x)
        if scientific:
            return f"{x:.{precision}e}"
        return f"{x:.0f}." if whole else f"{x:.{precision}f}"

    width = max((len(text(x)) for x in _shown(array).ravel()), default=0)
    return lambda x: text(x).rjust(width)


def _shown(array):
    """The elements that a summary shows."""
    if array.size <= _options["threshold"]:
        return array
    edge = _options["edgeitems"]
    for axis in range(array.ndim):
        if array.shape[axis] > 2 * edge:
            array = np.concatenate(
                [np.take(array, range(edge), axis), np.take(array, range(-edge, 0), axis)], axis=axis
            )
    return array
