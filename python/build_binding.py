"""Makes the glue between Python and libswiftnet from the C header: one compiled module for all Python versions."""

import platform
import re
import sys
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent

# Functions of this module that Swift calls. `extern "Python"` makes a C function of each.
CALLBACKS = """
extern "Python" {
    sn_tensor swiftnet_hook(void *, sn_tensor, int32_t *);
    int32_t swiftnet_accumulate_hook(void *);
    int32_t swiftnet_closure(void *, double *);
    int32_t swiftnet_backward(void *, sn_backward_context, const sn_tensor *, int64_t, sn_tensor *, int64_t);
    int32_t swiftnet_function(void *, const sn_tensor *, int64_t, sn_tensor *, int64_t, int64_t *);
    void swiftnet_release(void *);
    int32_t swiftnet_forward(void *, const sn_value *, int64_t, sn_value *);
    int32_t swiftnet_module_backward(void *, sn_backward_context, const sn_tensor *, int64_t, sn_tensor *, int64_t);
}
int32_t swiftnet_install(void);
int32_t swiftnet_check_signals(void);
void swiftnet_drop_dlpack(void *);
void swiftnet_drop_dlpack_versioned(void *);
"""

# Runs Python's own signal handlers; asked by the library during long work, while the GIL is released.
SOURCE = """
#include "swiftnet.h"

static int32_t swiftnet_check_signals(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    int32_t stop = PyErr_CheckSignals() != 0;
    if (stop) PyErr_Clear();
    PyGILState_Release(state);
    return stop;
}

/* Destructors of DLPack capsules: what nobody has taken over is given back. */
static void swiftnet_drop_dlpack(void *capsule) {
    if (!PyCapsule_IsValid((PyObject *)capsule, "dltensor")) return;
    sn_dl_managed *managed = PyCapsule_GetPointer((PyObject *)capsule, "dltensor");
    if (managed && managed->deleter) managed->deleter(managed);
}

static void swiftnet_drop_dlpack_versioned(void *capsule) {
    if (!PyCapsule_IsValid((PyObject *)capsule, "dltensor_versioned")) return;
    sn_dl_versioned *managed = PyCapsule_GetPointer((PyObject *)capsule, "dltensor_versioned");
    if (managed && managed->deleter) managed->deleter(managed);
}
"""


def declarations() -> str:
    """The header without what only a C compiler needs."""
    text = (ROOT / "Sources/CSwiftNet/include/swiftnet.h").read_text()
    text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.S)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


# As for the Swift library (Package.swift): what is built where the C library reads packed relocations needs that there.
LINUX_LINKING = []
if sys.platform == "linux":
    LINUX_LINKING.append("-Wl,-s")
    libc, version = platform.libc_ver()
    if libc == "glibc" and [int(part) for part in version.split(".")] >= [2, 36]:
        LINUX_LINKING.append("-Wl,-z,pack-relative-relocs")

ffibuilder = FFI()
ffibuilder.cdef(declarations() + CALLBACKS)
ffibuilder.set_source(
    "swiftnet._binding",
    SOURCE + (ROOT / "python/tensor_type.c").read_text(),
    include_dirs=[str(ROOT / "Sources/CSwiftNet/include")],
    library_dirs=[str(ROOT / "python/swiftnet")],
    libraries=["swiftnet"],
    runtime_library_dirs=["$ORIGIN"],
    # For size: it only hands arguments on, and operations on ten elements take as long as with -O2. No debugging
    # information, nothing to unwind.
    extra_compile_args=["-g0", "-Os", "-fno-asynchronous-unwind-tables"],
    extra_link_args=["-Wl,-rpath,$ORIGIN", *LINUX_LINKING],
    py_limited_api=True,
    define_macros=[("Py_LIMITED_API", "0x030A0000")],
)
