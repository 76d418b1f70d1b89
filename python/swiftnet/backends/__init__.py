"""Switches between algorithms that compute the same thing with different rounding or speed.

`winograd.enabled` is swiftnet's own. PyTorch's switches for libraries that are not here (`cudnn.benchmark`,
`cuda.matmul.allow_tf32`, …) can be set, so that programs run as they are, and have no effect.

Attributes:
    deterministic: whether only algorithms may be used that give the same bits in every run. All of swiftnet's do, for
        any number of threads; the switch is that of `swiftnet.use_deterministic_algorithms`.
"""

import contextlib
import sys
import types

from swiftnet._core import check as _check
from swiftnet._core import lib as _lib
from swiftnet._functions import modes as _modes


class _Winograd:
    """Winograd's algorithm for 3×3 convolutions and those with stride 2: two to four times fewer multiplications, a
    rounding error of up to about 2e-5 of the largest output instead of 1e-6 (docs/kernels.md).

    Attributes:
        enabled: whether convolutions may use it; True at first.
    """

    @property
    def enabled(self):
        return bool(_lib.sn_get_winograd())

    @enabled.setter
    def enabled(self, value):
        if not isinstance(value, bool):
            raise TypeError(f"winograd.enabled must be a bool, not {type(value).__name__}")
        _check(_lib.sn_set_winograd(value))

    @contextlib.contextmanager
    def flags(self, enabled=True):
        """Sets the switch within a `with` block.

        >>> with swiftnet.backends.winograd.flags(enabled=False):
        ...     swiftnet.backends.winograd.enabled
        False
        """
        before = self.enabled
        self.enabled = enabled
        try:
            yield
        finally:
            self.enabled = before


class _Absent(types.SimpleNamespace):
    """A library that is not here: its switches can be set and have no effect."""

    def is_available(self):
        """False."""
        return False

    def is_built(self):
        """False."""
        return False

    def version(self):
        """None."""
        return


winograd = _Winograd()
cudnn = _Absent(enabled=True, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True)
cuda = _Absent(matmul=_Absent(allow_tf32=False))
mkldnn = _Absent(enabled=True)
mkl = _Absent()
openmp = _Absent()
mps = _Absent()


class _Backends(types.ModuleType):
    @property
    def deterministic(self):
        return _modes.are_deterministic_algorithms_enabled()

    @deterministic.setter
    def deterministic(self, value):
        _modes.use_deterministic_algorithms(bool(value))


sys.modules[__name__].__class__ = _Backends
