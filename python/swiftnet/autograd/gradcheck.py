"""Comparison of gradients with finite differences."""

from swiftnet import _core
from swiftnet._core import fail, ffi, lib
from swiftnet._tensor import Tensor


class GradcheckError(RuntimeError):
    """Gradients and finite differences do not agree."""


class _Case:
    """A function under test with its arguments, of which only the tensors travel through the library."""

    def __init__(self, func, inputs):
        self.func = func
        self.arguments = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        self.places = [i for i, a in enumerate(self.arguments) if isinstance(a, Tensor)]

    @property
    def tensors(self):
        return [self.arguments[i] for i in self.places]

    def __call__(self):
        result = self.func(*self.arguments)
        results = result if isinstance(result, (tuple, list)) else (result,)
        return [r for r in results if isinstance(r, Tensor)]


@ffi.def_extern()
def swiftnet_function(context, inputs, count, outputs, capacity, output_count):
    """What the library calls."""
    try:
        results = ffi.from_handle(context)()
        if len(results) > capacity:
            raise ValueError(f"gradcheck: a function with {len(results)} outputs; at most {capacity} are possible")
        for position, result in enumerate(results):
            outputs[position] = lib.sn_retain(result._h)
        output_count[0] = len(results)
        return 0
    except BaseException as error:
        _core.keep_exception(error)
        return 1


def _verdict(code, raise_exception):
    if code == 1:
        return True
    if code < 0:
        fail()
    if not raise_exception:
        return False
    raise GradcheckError(ffi.string(lib.sn_last_error()).decode())


def gradcheck(
    func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, check_undefined_grad=True,
    check_grad_dtypes=False, check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False,
    check_backward_ad=True, fast_mode=False, masked=None,
):  # fmt: skip
    """Compares the gradients of `func(*inputs)` with finite differences. The inputs should be of float64.

    Args:
        eps: step of the finite differences.
        atol, rtol: greatest absolute and relative difference that passes.
        raise_exception: raise GradcheckError instead of returning False.
        nondet_tol: greatest difference between two backward runs on the same input.

    Returns: whether all gradients agree.
    """
    case = _Case(func, inputs)
    handle = ffi.new_handle(case)
    handles = [t._h for t in case.tensors]
    code = lib.sn_gradcheck(lib.swiftnet_function, handle, handles, len(handles), eps, atol, rtol, nondet_tol)
    return _verdict(code, raise_exception)


def gradgradcheck(
    func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, gen_non_contig_grad_outputs=False,
    raise_exception=True, nondet_tol=0.0, check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False,
    check_fwd_over_rev=False, check_rev_over_rev=True, fast_mode=False, masked=False,
):  # fmt: skip
    """Compares the second derivatives of `func(*inputs)` with finite differences of the first; see `gradcheck`.

    Args:
        grad_outputs: gradients of the outputs to start from. Default: random ones.
    """
    case = _Case(func, inputs)
    handle = ffi.new_handle(case)
    handles = [t._h for t in case.tensors]
    given = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs or ())
    count = -1 if grad_outputs is None else len(given)
    code = lib.sn_gradgradcheck(
        lib.swiftnet_function, handle, handles, len(handles), [g._h for g in given], count, eps, atol, rtol, nondet_tol
    )
    return _verdict(code, raise_exception)
