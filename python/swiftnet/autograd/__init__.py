"""Automatic differentiation: gradients, and whether operations are recorded."""

from swiftnet._core import NULL, check, ffi, lib
from swiftnet._lazy import TYPE_CHECKING
from swiftnet._lazy import lazily as _lazily
from swiftnet._tensor import Tensor, wrap
from swiftnet.autograd import grad_mode
from swiftnet.autograd.anomaly_mode import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from swiftnet.autograd.grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from swiftnet.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from swiftnet.autograd.hooks import RemovableHandle

if TYPE_CHECKING:
    from swiftnet.autograd import function, functional, graph
    from swiftnet.autograd.function import Function
__getattr__, __dir__ = _lazily(__name__, ["function", "functional", "graph"], ["swiftnet.autograd.function"])


def _sequence(value):
    if value is None:
        return None
    return [value] if isinstance(value, Tensor) else list(value)


def _gradients(outputs, given):
    if given is None:
        return [NULL] * len(outputs)
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    return [NULL if g is None else g._h for g in given]


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradients of `tensors` to the `grad` of every leaf that they depend on.

    Args:
        tensors: one tensor or several.
        grad_tensors: their gradients; None stands for 1 where a tensor has one element.
        retain_graph: keep what was saved so that backward can run again. Default: `create_graph`.
        create_graph: record backward itself.
        inputs: if given, only these tensors receive gradients.
    """
    outputs, given = _sequence(tensors), _sequence(grad_tensors)
    wanted = _sequence(inputs)
    if wanted is not None and not wanted:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    retain = create_graph if retain_graph is None else retain_graph
    check(
        lib.sn_backward(
            [t._h for t in outputs],
            _gradients(outputs, given),
            len(outputs),
            bool(retain),
            bool(create_graph),
            [t._h for t in wanted or ()],
            len(wanted or ()),
        )
    )


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of `outputs` with respect to `inputs`, summed over the outputs.

    Args:
        allow_unused: give None for an input that does not matter, instead of raising.
        materialize_grads: give zeros for such an input.
    """
    if is_grads_batched:
        raise NotImplementedError("grad(is_grads_batched=True)")
    outputs, inputs, given = _sequence(outputs), _sequence(inputs), _sequence(grad_outputs)
    unused = materialize_grads if allow_unused is None else allow_unused
    retain = create_graph if retain_graph is None else retain_graph
    results = ffi.new("sn_tensor[]", max(len(inputs), 1))
    check(
        lib.sn_gradients(
            [t._h for t in outputs],
            _gradients(outputs, given),
            len(outputs),
            [t._h for t in inputs],
            len(inputs),
            bool(retain),
            bool(create_graph),
            bool(unused),
            results,
        )
    )
    found = [wrap(results[i]) if results[i] else None for i in range(len(inputs))]
    if materialize_grads:
        from swiftnet import zeros_like

        found = [zeros_like(t) if g is None else g for g, t in zip(found, inputs, strict=True)]
    return tuple(found)
