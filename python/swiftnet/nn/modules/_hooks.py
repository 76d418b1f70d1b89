"""Hooks of modules: around forward, around backward, around their state."""

import functools
import warnings
from collections import OrderedDict

from swiftnet.nn.modules import _binding
from swiftnet.nn.modules._backward_hooks import BackwardHooks
from swiftnet.nn.modules._registration import RemovableHandle

# Tables of hooks that a module gets when the first hook of the kind is registered.
HOOK_TABLES = frozenset(
    [
        "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
        "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
    ]
)  # fmt: skip

_global_forward_hooks = OrderedDict()
_global_forward_pre_hooks = OrderedDict()
_global_backward_hooks = OrderedDict()
_global_backward_pre_hooks = OrderedDict()
_global_always_called = OrderedDict()


class HookRegistration:
    """The part of `Module` that registers hooks and runs them."""

    # Whether calls have to look for hooks.
    _hooked = False

    def _register(self, table, hook, prepend=False, marks=()):
        """Adds a hook to a table, and its number to tables that say how it is called."""
        marks = [getattr(self, name) for name in marks]
        hooks = getattr(self, table)
        handle = RemovableHandle(hooks, extra_dict=marks)
        hooks[handle.id] = hook
        for mark in marks:
            mark[handle.id] = True
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def _watch(self):
        """Makes calls look for hooks, also where Swift calls."""
        if "_hooked" not in self.__dict__:
            self.__dict__["_hooked"] = True
            _binding.set_override(self._sn, True)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Calls `hook(module, args)` before forward; what it returns takes the place of the arguments."""
        self._watch()
        return self._register(
            "_forward_pre_hooks", hook, prepend, ["_forward_pre_hooks_with_kwargs"] if with_kwargs else ()
        )

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Calls `hook(module, args, output)` after forward; what it returns takes the place of the output."""
        self._watch()
        marks = ["_forward_hooks_with_kwargs"] if with_kwargs else []
        return self._register(
            "_forward_hooks", hook, prepend, marks + (["_forward_hooks_always_called"] if always_call else [])
        )

    def register_full_backward_hook(self, hook, prepend=False):
        """Calls `hook(module, grad_input, grad_output)` in backward; what it returns takes the place of grad_input."""
        self._choose_backward_hooks(True)
        return self._register("_backward_hooks", hook, prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Calls `hook(module, grad_output)` in backward before the module's; its result takes grad_output's place."""
        self._watch()
        return self._register("_backward_pre_hooks", hook, prepend)

    def register_backward_hook(self, hook):
        """The older form of `register_full_backward_hook`, which it does not go together with."""
        self._choose_backward_hooks(False)
        return self._register("_backward_hooks", hook)

    def _choose_backward_hooks(self, full):
        self._watch()
        if self.__dict__.setdefault("_is_full_backward_hook", full) is not full:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only "
                "one of them."
            )

    def register_state_dict_pre_hook(self, hook):
        """Calls `hook(module, prefix, keep_vars)` before `state_dict`."""
        return self._register("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook):
        """Calls `hook(module, state_dict, prefix, local_metadata)` after `state_dict`."""
        hook._from_public_api = True
        return self._register("_state_dict_hooks", hook)

    def _register_state_dict_hook(self, hook):
        return self._register("_state_dict_hooks", hook)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return self._register("_load_state_dict_pre_hooks", functools.partial(hook, self) if with_module else hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Calls `hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)` before loading."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook):
        """Calls `hook(module, incompatible_keys)` after `load_state_dict`."""
        return self._register("_load_state_dict_post_hooks", hook)

    def _call_with_hooks(self, args, kwargs):
        called = set()
        try:
            return self._hooked_call(args, kwargs, called)
        except Exception:
            # Hooks that asked for it run even so; what they raise themselves is only a warning.
            for table, always, with_kwargs in (
                (_global_forward_hooks, _global_always_called, {}),
                (self._forward_hooks, self._forward_hooks_always_called, self._forward_hooks_with_kwargs),
            ):
                for key in list(always):
                    if key in called or key not in table:
                        continue
                    try:
                        if key in with_kwargs:
                            table[key](self, args, kwargs, None)
                        else:
                            table[key](self, args, None)
                    except Exception as error:
                        warnings.warn(f"module forward hook with always_call=True raised {error!r}", stacklevel=3)
            raise

    def _hooked_call(self, args, kwargs, called):
        for table, with_kwargs in (
            (_global_forward_pre_hooks, ()),
            (self._forward_pre_hooks, self._forward_pre_hooks_with_kwargs),
        ):
            for key, hook in list(table.items()):
                if key in with_kwargs:
                    changed = hook(self, args, kwargs)
                    if changed is not None:
                        if not (isinstance(changed, tuple) and len(changed) == 2):
                            raise RuntimeError(
                                "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                                f"but got {changed}."
                            )
                        args, kwargs = changed
                else:
                    changed = hook(self, args)
                    if changed is not None:
                        args = changed if isinstance(changed, tuple) else (changed,)
        backward = None
        hooks = [*_global_backward_hooks.values(), *self._backward_hooks.values()]
        pre_hooks = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
        if hooks or pre_hooks:
            backward = BackwardHooks(self, hooks, pre_hooks)
            args = backward.on_inputs(args)
        result = self.forward(*args, **kwargs)
        for table, with_kwargs in (
            (_global_forward_hooks, ()),
            (self._forward_hooks, self._forward_hooks_with_kwargs),
        ):
            for key, hook in list(table.items()):
                called.add(key)
                changed = hook(self, args, kwargs, result) if key in with_kwargs else hook(self, args, result)
                if changed is not None:
                    result = changed
        return backward.on_outputs(result) if backward else result


def _register_global(table, hook, *marks):
    HookRegistration._hooked = True
    for module in list(_binding.live.values()):
        _binding.set_override(module._sn, True)
    handle = RemovableHandle(table, extra_dict=list(marks))
    table[handle.id] = hook
    for mark in marks:
        mark[handle.id] = True
    return handle


def register_module_forward_pre_hook(hook):
    """Calls `hook(module, args)` before every module's forward."""
    return _register_global(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Calls `hook(module, args, output)` after every module's forward."""
    if with_kwargs:
        inner = hook

        def hook(module, args, output):
            return inner(module, args, {}, output)

    return _register_global(_global_forward_hooks, hook, *([_global_always_called] if always_call else []))


def register_module_full_backward_hook(hook):
    """Calls `hook(module, grad_input, grad_output)` in every module's backward."""
    return _register_global(_global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook):
    """Calls `hook(module, grad_output)` before every module's backward."""
    return _register_global(_global_backward_pre_hooks, hook)
