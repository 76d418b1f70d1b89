"""Writes docs/coverage.md: which names of PyTorch's namespaces there are, and which are not. Needs PyTorch.

    python docs/make_coverage.py [--check]

--check writes nothing and fails if the page is out of date.
"""

import inspect
import sys
from pathlib import Path

import swiftnet
import torch

PAGE = Path(__file__).with_name("coverage.md")

# Namespaces, and what of PyTorch's they leave out on purpose, by the beginning of names.
NAMESPACES = {
    "": "functions",
    "Tensor": "methods and properties",
    "nn": "modules",
    "nn.functional": "functions",
    "nn.init": "functions",
    "nn.utils": "functions",
    "optim": "optimizers",
    "optim.lr_scheduler": "schedulers",
    "autograd": "functions and classes",
    "utils.data": "classes and functions",
    "linalg": "functions",
    "special": "functions",
}

# Not for a library of CPU training in real numbers: complex, sparse, quantized and nested tensors, other devices,
# compilation, distribution, names of PyTorch's own machinery.
OUTSIDE = (
    "_", "cuda", "cudnn", "miopen", "mkldnn", "quantiz", "fake_quant", "q_", "qint", "quint", "sparse", "to_sparse",
    "is_sparse", "ccol", "col_indices", "crow", "row_indices", "coalesce", "is_coalesced", "dense_dim", "smm", "sspaddmm",
    "hspmm", "saddmm", "complex", "is_complex", "real", "imag", "view_as_real", "view_as_complex", "angle", "polar",
    "conj", "resolve_", "is_conj", "is_neg", "adjoint", "names", "refine_names", "rename", "align_", "has_names", "jit",
    "fx", "onnx", "hip", "ipu", "xpu", "mps", "mtia", "maia", "vulkan", "hpu", "is_cuda", "is_ipu", "is_xpu", "is_mps",
    "is_mtia", "is_maia", "is_vulkan", "is_hpu", "is_meta", "is_mkldnn", "is_xla", "to_mkldnn", "is_distributed",
    "compile", "compiler", "export", "cond", "vmap", "while_loop", "sym_", "Sym", "fbgemm", "dequantize", "int_repr",
    "is_quantized", "nested", "is_nested", "to_padded_tensor", "autocast", "Autocast", "set_autocast", "get_autocast",
    "is_autocast", "clear_autocast", "script", "Generator", "Storage", "storage", "stft", "istft", "share_memory",
    "is_shared", "pin_memory", "is_pinned", "UntypedStorage", "TypedStorage", "Int", "Float", "Double", "Half", "BFloat",
    "Byte", "Char", "Short", "Long", "Bool", "Complex", "DisableTorch", "ErrorReport", "Dispatch", "Exclude", "Fatal",
    "Function", "Future", "Graph", "IO", "Inference", "Interface", "JIT", "List", "Lite", "Lock", "Logging", "Module",
    "NoneType", "Number", "Opaque", "Operator", "Optional", "OutOf", "Parameter", "Pickle", "Py", "Qu", "RRef",
    "Script", "Serialization", "Static", "Stream", "String", "Thread", "Tracing", "Tuple", "Type", "Union", "Use",
    "Value", "Argument", "Accel", "Any", "Await", "Benchmark", "Block", "Buffer", "CallStack", "Capsule", "Class",
    "Code", "Compilation", "Concrete", "Cuda", "Data", "Deep", "Deserialization", "Device", "Dict", "DType", "Enum",
    "Event", "Execution", "Tensor", "TensorType", "Gradient", "parse_", "import_ir", "fork", "wait", "unify", "merge_type",
    "default_generator", "prepare_multiprocessing", "read_vitals", "set_vital", "vitals", "typename", "classproperty",
    "unravel_type", "xla", "profiler", "IterDataPipe", "MapDataPipe", "DFIter", "functional_datapipe", "guaranteed",
    "argument_validation", "runtime_validation", "non_deterministic", "DistributedSampler", "DistributedData",
    "DataParallel", "UninitializedBuffer", "UninitializedParameter", "map", "map2_", "dim_order", "module_load",
    "ctypes", "inspect", "math", "sys", "os", "torch", "importlib", "threading", "platform", "textwrap", "builtins",
    "functools", "glob", "namedtuple", "TYPE_CHECKING", "warnings", "types", "annotations", "Callable",
    "cast", "overload",
)  # fmt: skip


def names(library, namespace):
    """Public names of a namespace, or none if it is not there."""
    place = library
    for part in namespace.split(".") if namespace else []:
        place = getattr(place, part, None)
        if place is None:
            return set()
    listed = getattr(place, "__all__", None) if namespace in ("utils.data", "nn.init") else None
    found = set()
    for name in listed or dir(place):
        if name.startswith(OUTSIDE):
            continue
        value = getattr(place, name, None)
        if inspect.ismodule(value) or (namespace == "" and isinstance(value, type) and name[0].isupper()):
            continue
        if namespace != "Tensor" and not callable(value) and type(value).__name__ != "dtype":
            continue
        if namespace == "nn" and not inspect.isclass(value):
            continue
        found.add(name)
    return found


DIFFERENCES = """## Where it differs

- **One device.** `cuda.is_available()` is False; `.cuda()` and `.to("cuda")` raise, or warn once and stay on the CPU after `swiftnet.cuda.fall_back_to_cpu()`.
- **Real numbers only**, in ten dtypes: float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, bool. No complex, sparse, quantized or nested tensors.
- **`view()` and `contiguous()` may copy, and `contiguous(memory_format=channels_last)` may not,** where the library itself has chosen a channels-last layout for a result: see [architecture.md](architecture.md). `data_ptr()` tells.
- **`Tensor.grad_fn` names** are PyTorch's for most operations; a function composed of others shows its last one.
- **Random numbers** are PyTorch's on the CPU for the same seed, normal ones up to the rounding of the last bit. Dropout draws the numbers of PyTorch's default implementation, in the order of the indices; where a program has made a tensor channels-last, PyTorch's order is that of memory.
- **`binary_cross_entropy(sigmoid(x))`** of large tensors takes the logarithms from x. Where the sigmoid has rounded to 0 or 1, PyTorch's loss jumps to 100; here it is |x|, up to 100.
- **`grid_sample`** reads nothing (or the border) at places that are NaN or infinite; PyTorch's result there is undefined.
- **Gradients of embeddings are dense**: `sparse=True` raises.
- **`mode()`** of values with NaN among them may choose otherwise: PyTorch's choice depends on how it sorts.
- **`pin_memory`, `non_blocking`, `foreach`, `fused`, `capturable`** and the like are accepted and have no effect.
- **`utils.data`**: workers send batches through pipes, not shared memory; there are no data pipes and no `DistributedSampler`.
- **`save`, `load`** use PyTorch's zip format; `load` builds tensors and plain containers only, also with `weights_only=False`.
"""


def page():
    lines = [
        "# What there is",
        "",
        "Made by `docs/make_coverage.py`, which compares the public names with PyTorch's. Left out of the comparison: "
        "complex, sparse, quantized and nested tensors, other devices, compilation, distribution, and PyTorch's own "
        "machinery. A name that is here has PyTorch's signature and semantics; the parity tests in `python/tests` check it.",
        "",
        "| namespace | there | of PyTorch's |",
        "| --- | --- | --- |",
    ]
    details = []
    for namespace, kind in NAMESPACES.items():
        theirs, ours = names(torch, namespace), names(swiftnet, namespace)
        common = theirs & ours
        title = f"swiftnet.{namespace}" if namespace else "swiftnet"
        lines.append(f"| {title}: {kind} | {len(common)} | {len(theirs)} |")
        missing = sorted(theirs - ours)
        if missing:
            details.append(f"**{title}**: " + ", ".join(f"`{name}`" for name in missing))
    return "\n".join([*lines, "", DIFFERENCES, "## Not there yet", "", "\n\n".join(details), ""])


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit("docs/coverage.md is out of date: run python docs/make_coverage.py")
    else:
        PAGE.write_text(text)
