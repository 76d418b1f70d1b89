"""Hooks in a module's backward."""

from swiftnet._core import NULL, check, ffi, keep_exception, lib
from swiftnet._functions.creation import keep
from swiftnet._tensor import Tensor, wrap


class _Identity:
    """A recorded identity of several tensors that sees all their gradients at once in backward."""

    def __init__(self, count, on_gradients):
        self.count = count
        self.on_gradients = on_gradients

    @staticmethod
    def apply(tensors, name, on_gradients):
        """Copies without memory of their own, recorded as one operation."""
        outputs = [wrap(lib.sn_detach(t._h)) for t in tensors]
        context = keep(_Identity(len(tensors), on_gradients))
        check(
            lib.sn_record(
                name, [t._h for t in tensors], len(tensors), [t._h for t in outputs], len(outputs),
                NULL, [], 0, lib.swiftnet_module_backward, context, lib.swiftnet_release,
            )
        )  # fmt: skip
        return outputs


@ffi.def_extern()
def swiftnet_module_backward(context, saved, gradients, count, results, result_count):
    """What the library calls in backward."""
    try:
        identity = ffi.from_handle(context)
        found = [wrap(lib.sn_retain(gradients[i])) if gradients[i] else None for i in range(count)]
        for position, gradient in enumerate(identity.on_gradients(found)):
            results[position] = NULL if gradient is None else lib.sn_retain(gradient._h)
        return 0
    except BaseException as error:  # noqa: BLE001 - it is raised again when backward returns
        keep_exception(error)
        return 8


def _tensors(value):
    """The tensors among positional arguments or results, and a function that puts others in their place."""
    if isinstance(value, Tensor):
        return [value], lambda new: new[0]
    if isinstance(value, (tuple, list)):
        places = [i for i, item in enumerate(value) if isinstance(item, Tensor)]

        def rebuild(new):
            items = list(value)
            for place, item in zip(places, new, strict=True):
                items[place] = item
            if hasattr(value, "_fields"):
                return type(value)(*items)
            return type(value)(items)

        return [value[i] for i in places], rebuild
    return [], lambda new: value


class BackwardHooks:
    """Runs a module's backward hooks in one call of the module."""

    def __init__(self, module, hooks, pre_hooks):
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_outputs = None
        self.has_inputs = False
        self.output_count = 0

    def on_inputs(self, args):
        """Puts the identity that sees the inputs' gradients before the module."""
        if not self.hooks:
            return args
        tensors, rebuild = _tensors(args)
        if not lib.sn_is_grad_enabled() or not any(t.requires_grad for t in tensors):
            return args
        self.has_inputs = True
        return rebuild(_Identity.apply(tensors, b"BackwardHookFunctionBackward", self._inputs_done))

    def on_outputs(self, result):
        """Puts the identity that sees the outputs' gradients after the module."""
        tensors, rebuild = _tensors(result)
        if not lib.sn_is_grad_enabled() or not any(t.requires_grad for t in tensors):
            return result
        self.output_count = len(tensors)
        return rebuild(_Identity.apply(tensors, b"BackwardHookFunctionBackward", self._outputs_arrived))

    def _outputs_arrived(self, gradients):
        gradients = tuple(gradients)
        for hook in self.pre_hooks:
            changed = hook(self.module, gradients)
            if changed is not None:
                gradients = _checked(changed, gradients, "full_backward_pre_hook")
        self.grad_outputs = gradients
        if self.hooks and not self.has_inputs:
            for hook in self.hooks:
                if hook(self.module, (None,), gradients) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
        return gradients

    def _inputs_done(self, gradients):
        gradients = tuple(gradients)
        for hook in self.hooks:
            changed = hook(self.module, gradients, self.grad_outputs)
            if changed is not None:
                gradients = _checked(changed, gradients, "backward hook")
        return gradients


def _checked(changed, before, what):
    if not isinstance(changed, tuple):
        changed = (changed,)
    if len(changed) != len(before):
        raise RuntimeError(f"{what} returned an invalid number of grad, got {len(changed)}, but expected {len(before)}")
    return changed
