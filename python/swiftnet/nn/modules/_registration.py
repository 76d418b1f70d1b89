"""Handles of hooks, and the hooks that see what modules register."""

import itertools
import weakref
from collections import OrderedDict

_ids = itertools.count()


class RemovableHandle:
    """Takes a hook away again: by `remove()`, or at the end of a `with` block."""

    def __init__(self, hooks, *, extra_dict=None):
        self.id = next(_ids)
        self._tables = [weakref.ref(table) for table in [hooks, *_as_list(extra_dict)]]

    def remove(self):
        for reference in self._tables:
            table = reference()
            if table is not None:
                table.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


def _as_list(value):
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


_global_parameter_registration_hooks = OrderedDict()
_global_buffer_registration_hooks = OrderedDict()
_global_module_registration_hooks = OrderedDict()


def registered(hooks, module, name, value):
    """The value that registration hooks make of one that is about to be registered."""
    for hook in list(hooks.values()):
        changed = hook(module, name, value)
        if changed is not None:
            value = changed
    return value


def _register_registration(table, hook):
    handle = RemovableHandle(table)
    table[handle.id] = hook
    return handle


def register_module_parameter_registration_hook(hook):
    """Calls `hook(module, name, parameter)` before a parameter is registered; what it returns takes its place."""
    return _register_registration(_global_parameter_registration_hooks, hook)


def register_module_buffer_registration_hook(hook):
    """Calls `hook(module, name, buffer)` before a buffer is registered; what it returns takes its place."""
    return _register_registration(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook):
    """Calls `hook(module, name, child)` before a child is registered; what it returns takes its place."""
    return _register_registration(_global_module_registration_hooks, hook)
