"""Operations with a backward of their own, written in Python."""

import functools

from swiftnet import _core
from swiftnet._core import NULL, check, ffi, lib
from swiftnet._functions.creation import keep
from swiftnet._tensor import Tensor, wrap
from swiftnet.autograd.grad_mode import enable_grad, no_grad

__all__ = ["Function"]


class FunctionCtx:
    """What `forward` leaves for `backward`. Any attribute may be set; tensors that are inputs or outputs belong into
    `save_for_backward`."""

    def __init__(self):
        self._saved = ()
        self._dirty = ()
        self._not_differentiable = ()
        self._materialize = True
        self._context = None
        self.needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors for backward, which finds them in `saved_tensors`. Changes in place are noticed."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(t).__name__}"
                )
        self._saved = tensors

    save_for_forward = save_for_backward

    @property
    def saved_tensors(self):
        """What `save_for_backward` kept."""
        if self._context is None:
            return self._saved
        return tuple(None if slot is None else wrap(lib.sn_saved_tensor(self._context, slot)) for slot in self._slots)

    def mark_dirty(self, *args):
        """Says that these inputs were changed in place; they must be among the outputs."""
        self._dirty = args

    def mark_non_differentiable(self, *args):
        """Says that these outputs have no gradient."""
        self._not_differentiable = args

    def set_materialize_grads(self, value):
        """Whether an output that received no gradient gets zeros (the default) or None."""
        self._materialize = bool(value)


class _Call:
    """What backward needs of one call of a function."""

    __slots__ = ("function", "ctx", "outputs", "tensor_positions", "count")


def _contains(tensors, value):
    return any(value is item for item in tensors)


@ffi.def_extern()
def swiftnet_backward(context, saved, gradients, count, results, result_count):
    """What the library calls in backward."""
    try:
        call = ffi.from_handle(context)
        _run_backward(call, saved, gradients, results, result_count)
        return 0
    except BaseException as error:
        _core.keep_exception(error)
        return 1


def _run_backward(call, saved, gradients, results, result_count):
    from swiftnet._functions.creation import zeros

    ctx = call.ctx
    arguments = []
    for slot, shape, dtype in call.outputs:
        handle = gradients[slot] if slot is not None else NULL
        if handle:
            arguments.append(wrap(lib.sn_retain(handle)))
        elif ctx._materialize and dtype is not None:
            arguments.append(zeros(shape, dtype=dtype))
        else:
            arguments.append(None)
    ctx._context = saved
    try:
        returned = call.function.backward(ctx, *arguments)
    finally:
        ctx._context = None
    name = call.function.__name__
    if not isinstance(returned, (tuple, list)):
        returned = (returned,)
    returned = list(returned)
    if len(returned) > call.count and all(item is None for item in returned[call.count :]):
        returned = returned[: call.count]
    if len(returned) != call.count:
        raise RuntimeError(
            f"function {name}Backward returned an incorrect number of gradients (expected {call.count}, got "
            f"{len(returned)})"
        )
    for position, value in enumerate(returned):
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"function {name}Backward returned gradient {position} of type {type(value).__name__}, expected a "
                "Tensor"
            )
        if value is not None and position not in call.tensor_positions:
            raise RuntimeError(
                f"function {name}Backward returned a gradient different from None at position {position + 1}, but the "
                "corresponding forward input was not a Variable"
            )
    for slot, position in enumerate(call.tensor_positions):
        value = returned[position]
        if value is not None:
            results[slot] = lib.sn_retain(value._h)


class Function:
    """An operation with a backward of its own. A subclass defines static methods, and is called by `apply`:

    - `forward(ctx, *args)`, or `forward(*args)` together with `setup_context(ctx, inputs, output)`;
    - `backward(ctx, *gradients)`: for the gradient of each output the gradient of each argument, None where there is
      none.

    >>> class Double(swiftnet.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         return gradient * 2
    """

    @staticmethod
    def forward(*args, **kwargs):
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    def __init__(self, *args, **kwargs):
        raise RuntimeError(
            f"{type(self).__name__} should not be instantiated. Methods on autograd functions are all static, so you "
            "should invoke them on the class itself: use .apply"
        )

    @classmethod
    def apply(cls, *args, **kwargs):
        """Calls the function and records it."""
        ctx = FunctionCtx()
        recording = lib.sn_is_grad_enabled()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                returned = cls.forward(ctx, *args, **kwargs)
            else:
                returned = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, returned)
        if not (recording and any(ctx.needs_input_grad)):
            return returned
        single = not isinstance(returned, tuple)
        outputs = [returned] if single else list(returned)
        _record(cls, ctx, args, outputs)
        return outputs[0] if single else tuple(outputs)


def _record(cls, ctx, args, outputs):
    call = _Call()
    call.function, call.ctx, call.count = cls, ctx, len(args)
    call.tensor_positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    inputs = [args[i] for i in call.tensor_positions]
    recorded, changed = [], []
    call.outputs = []
    for position, output in enumerate(outputs):
        if not isinstance(output, Tensor):
            call.outputs.append((None, None, None))
            continue
        dirty = _contains(ctx._dirty, output)
        if not dirty and _contains(inputs, output):
            # An input handed through: the output is another tensor over its memory.
            output = outputs[position] = output.detach()
        if _contains(ctx._not_differentiable, output) or not output.dtype.is_floating_point:
            call.outputs.append((None, tuple(output.shape), output.dtype))
            continue
        call.outputs.append((len(recorded), tuple(output.shape), output.dtype))
        recorded.append(output)
        changed.append(dirty)
    saved = [t for t in ctx._saved if t is not None]
    slots = iter(range(len(saved)))
    ctx._slots = [None if t is None else next(slots) for t in ctx._saved]
    if recorded:
        # The tensors stay with the node, which notices changes; here they would make a cycle.
        ctx._saved = ()
        ctx._dirty = ctx._not_differentiable = ()
        check(
            lib.sn_record(
                (cls.__name__ + "Backward").encode(), [t._h for t in inputs], len(inputs),
                [t._h for t in recorded], len(recorded), changed, [t._h for t in saved], len(saved),
                lib.swiftnet_backward, keep(call), lib.swiftnet_release,
            )
        )  # fmt: skip


class _Refusal(Function):
    """Stands behind gradients that cannot be differentiated."""

    @staticmethod
    def forward(ctx, count, *tensors):
        return tuple(t.detach().clone() for t in tensors[:count])

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def once_differentiable(backward):
    """Marks a `backward` whose own derivative is not defined: asking for it raises."""

    @functools.wraps(backward)
    def wrapper(ctx, *gradients):
        with no_grad():
            returned = backward(ctx, *gradients)
        if not lib.sn_is_grad_enabled():
            return returned
        sources = [g for g in gradients if isinstance(g, Tensor) and g.requires_grad]
        if not sources:
            return returned
        single = not isinstance(returned, tuple)
        values = [returned] if single else list(returned)
        places = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
        with enable_grad():
            guarded = _Refusal.apply(len(places), *[values[i] for i in places], *sources)
        for place, value in zip(places, guarded, strict=True):
            values[place] = value
        return values[0] if single else tuple(values)

    return wrapper
