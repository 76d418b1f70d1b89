"""swiftnet: training of multi-branch neural networks on the CPU, with PyTorch's names, computed in Swift.

>>> import swiftnet
>>> x = swiftnet.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([[2., 4.],
        [6., 8.]])
"""

from swiftnet import autograd, linalg, nn, return_types
from swiftnet._core import check as _check
from swiftnet._core import ffi, lib
from swiftnet._device import device
from swiftnet._dtypes import (
    bfloat16,
    double,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    half,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    long,
    short,
    uint8,
)
from swiftnet._dtypes import bool_ as bool
from swiftnet._dtypes import float_ as float
from swiftnet._dtypes import int_ as int
from swiftnet._functions import outputs as _outputs
from swiftnet._functions.copies import *  # noqa: F403
from swiftnet._functions.creation import *  # noqa: F403
from swiftnet._functions.elementwise import *  # noqa: F403
from swiftnet._functions.indexing import *  # noqa: F403
from swiftnet._functions.interop import from_dlpack, to_dlpack
from swiftnet._functions.limits import *  # noqa: F403
from swiftnet._functions.linalg import *  # noqa: F403
from swiftnet._functions.modes import *  # noqa: F403
from swiftnet._functions.neural import *  # noqa: F403
from swiftnet._functions.norms import *  # noqa: F403
from swiftnet._functions.random import *  # noqa: F403
from swiftnet._functions.rearranging import *  # noqa: F403
from swiftnet._functions.reductions import *  # noqa: F403
from swiftnet._functions.scans import *  # noqa: F403
from swiftnet._functions.shapes import *  # noqa: F403
from swiftnet._functions.sorting import *  # noqa: F403
from swiftnet._functions.windows import *  # noqa: F403
from swiftnet._lazy import TYPE_CHECKING
from swiftnet._lazy import lazily as _lazily
from swiftnet._tensor import (
    Size,
    Tensor,
    channels_last,
    channels_last_3d,
    contiguous_format,
    preserve_format,
    strided,
    tensor,
)
from swiftnet.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

is_anomaly_enabled = autograd.is_anomaly_enabled
_outputs.install(globals())


def is_inference_mode_enabled():
    """Whether results are kept out of every graph."""
    return bool(lib.sn_is_inference_mode())


__version__ = "0.1.0"


if TYPE_CHECKING:
    from swiftnet import amp, backends, cuda, losses, metrics, models, optim, random, special, train, transforms, utils
    from swiftnet._printing import set_printoptions
    from swiftnet._serialization import load, save
    from swiftnet._summary import summary
    from swiftnet.amp.autocast_mode import *  # noqa: F403
__getattr__, __dir__ = _lazily(
    __name__,
    [
        "amp", "backends", "cuda", "datasets", "losses", "memory", "metrics", "models", "npz", "optim", "random",
        "safetensors", "special", "train", "transforms", "utils",
    ],
    ["swiftnet._serialization", "swiftnet._printing", "swiftnet._summary", "swiftnet.amp.autocast_mode"],
)  # fmt: skip


def get_num_threads():
    """Threads that share the work of one operation."""
    return lib.sn_get_num_threads()


def set_num_threads(count):
    """Sets the number of threads that share the work of one operation. Results do not depend on it."""
    _check(lib.sn_set_num_threads(count))


def show_config():
    """Prints the instruction set in use and what else the library was built with."""
    print(ffi.string(lib.sn_config()).decode(), end="")
    print(f"threads: {get_num_threads()}")
