"""Between Python's modules and the Swift library's: values, members and settings."""

import _thread
import weakref

from swiftnet._core import NULL, check, fail, ffi, keep_exception, lib
from swiftnet._functions.creation import keep
from swiftnet._tensor import Parameter, Tensor, wrap
from swiftnet.nn.modules._registration import (
    _global_buffer_registration_hooks,
    _global_parameter_registration_hooks,
    registered,
)

PARAMETER, BUFFER, CHILD = 0, 1, 2

# The Python object of each Swift module that has one, by the address of the Swift module.
live = weakref.WeakValueDictionary()

# Python classes by the name of the Swift type.
classes = {}

_INT64 = 1 << 63
_TENSOR = lib.SN_TENSOR
_new = ffi.new
_pair = ffi.typeof("sn_value[2]")


def address(handle):
    """An identity of the module behind a handle."""
    return int(ffi.cast("intptr_t", handle))


# ---- values ----


def _numbers(target, values, memory):
    try:
        whole = [v.__index__() for v in values]
    except AttributeError:
        target.kind = lib.SN_DOUBLES
        array = ffi.new("double[]", [float(v) for v in values])
        target.numbers = array
    else:
        target.kind = lib.SN_INTS
        array = ffi.new("int64_t[]", whole)
        target.integers = array
    target.count = len(values)
    memory.append(array)


def store_setting(target, value, memory):
    """Writes a setting into an sn_value; what it points to is appended to `memory`."""
    kind = type(value)
    if value is None:
        target.kind = lib.SN_NONE
    elif kind is bool:
        target.kind, target.integer = lib.SN_BOOL, value
    elif kind is int:
        if not -_INT64 <= value < _INT64:
            raise OverflowError(f"{value} does not fit 64 bits")
        target.kind, target.integer = lib.SN_INT, value
    elif kind is float:
        target.kind, target.number = lib.SN_DOUBLE, value
    elif isinstance(value, str):
        target.kind = lib.SN_STRING
        text = ffi.new("char[]", value.encode())
        target.text = text
        memory.append(text)
    elif isinstance(value, Tensor):
        target.kind, target.tensor = lib.SN_TENSOR, value._h
        memory.append(value)
    elif isinstance(value, (tuple, list)):
        _numbers(target, value, memory)
    elif hasattr(value, "__index__"):
        target.kind, target.integer = lib.SN_INT, value.__index__()
    elif hasattr(value, "__float__"):
        target.kind, target.number = lib.SN_DOUBLE, float(value)
    else:
        raise TypeError(f"a setting cannot be a {kind.__name__}")


def store_value(target, value, memory, owned=False):
    """Writes what goes into or comes out of a module into an sn_value. `owned`: tensors get handles of their own."""
    kind = type(value)
    if isinstance(value, Tensor):
        target.kind = lib.SN_TENSOR
        target.tensor = lib.sn_retain(value._h) if owned else value._h
        memory.append(value)
    elif kind is tuple or kind is list:
        target.kind = lib.SN_TUPLE if kind is tuple else lib.SN_LIST
        items = ffi.new("sn_value[]", max(len(value), 1))
        memory.append(items)
        for item, entry in zip(items, value, strict=False):
            store_value(item, entry, memory, owned)
        target.items, target.count = items, len(value)
    elif value is None or kind is bool or kind is float or kind is str or kind is int and -_INT64 <= value < _INT64:
        store_setting(target, value, memory)
    else:
        target.kind, target.object, target.release = lib.SN_OBJECT, keep(value), lib.swiftnet_release


def load(value):
    """The Python value of an sn_value, which stays as it is."""
    kind = value.kind
    if kind == lib.SN_TENSOR:
        return wrap(lib.sn_retain(value.tensor))
    if kind == lib.SN_NONE:
        return None
    if kind == lib.SN_BOOL:
        return bool(value.integer)
    if kind == lib.SN_INT:
        return value.integer
    if kind == lib.SN_DOUBLE:
        return value.number
    if kind == lib.SN_STRING:
        return ffi.string(value.text).decode()
    if kind == lib.SN_INTS:
        return tuple(ffi.unpack(value.integers, value.count))
    if kind == lib.SN_DOUBLES:
        return tuple(ffi.unpack(value.numbers, value.count))
    if kind == lib.SN_OBJECT:
        return ffi.from_handle(value.object)
    items = [load(value.items[i]) for i in range(value.count)]
    return tuple(items) if kind == lib.SN_TUPLE else items


def forward_values(handle, inputs):
    """A module's own forward on any values."""
    if len(inputs) == 1 and isinstance(inputs[0], Tensor):
        return _forward_tensor(handle, inputs[0])
    memory = []
    values = ffi.new("sn_value[]", max(len(inputs), 1))
    for target, value in zip(values, inputs, strict=False):
        store_value(target, value, memory)
    result = ffi.new("sn_value *")
    check(lib.sn_module_forward_values(handle, values, len(inputs), result))
    output = load(result)
    lib.sn_value_clear(result)
    return output


def _forward_tensor(handle, input):
    # Networks call their containers so: one array for input and output, whose handle passes over.
    values = _new(_pair)
    value = values[0]
    value.kind, value.tensor = _TENSOR, input._h
    result = values + 1
    status = lib.sn_module_forward_values(handle, values, 1, result)
    if status:
        check(status)
    if result.kind == _TENSOR:
        return wrap(result.tensor)
    output = load(result)
    lib.sn_value_clear(result)
    return output


# ---- forward of Python, called by Swift ----

# What the arrays of the last result of a callback need until Swift has read it. By thread.
_results = {}


@ffi.def_extern()
def swiftnet_forward(context, inputs, count, result):
    try:
        module = live.get(address(context))
        if module is None:
            raise RuntimeError("a module written in Python was run after its Python object was gone")
        if count == 1 and inputs.kind == _TENSOR:
            output = module(wrap(lib.sn_retain(inputs.tensor)))
            if isinstance(output, Tensor):
                result.kind, result.tensor = _TENSOR, lib.sn_retain(output._h)
                return 0
        else:
            output = module(*[load(inputs[i]) for i in range(count)])
        memory = []
        store_value(result, output, memory, owned=True)
        _results[_thread.get_ident()] = memory
        return 0
    except BaseException as error:  # noqa: BLE001 - it is raised again when the Swift call returns
        keep_exception(error)
        return 8


def set_override(handle, active):
    """Makes Swift run the Python object wherever it calls the module, or not."""
    check(lib.sn_module_set_override(handle, lib.swiftnet_forward if active else NULL, handle, NULL))


# ---- members ----


class Members(dict):
    """Parameters, buffers or children by name; every change is passed on to the Swift module."""

    __slots__ = ("_module", "_kind", "_transient")

    def __init__(self, handle, kind):
        self._module = handle
        self._kind = kind
        # Names of buffers that are not part of the state.
        self._transient = set()

    def __setitem__(self, name, value):
        text = name.encode()
        if self._kind == CHILD:
            check(lib.sn_module_set_child(self._module, text, NULL if value is None else value._sn))
        else:
            h = NULL if value is None else Tensor._h.__get__(value)
            check(lib.sn_module_set_tensor(self._module, self._kind, text, h, name not in self._transient))
        dict.__setitem__(self, name, value)

    def adopt(self, name, value):
        """Takes up what the Swift module has already."""
        dict.__setitem__(self, name, value)

    def __delitem__(self, name):
        dict.__delitem__(self, name)
        check(lib.sn_module_remove_member(self._module, self._kind, name.encode()))

    def pop(self, name, *default):
        if name in self:
            value = self[name]
            del self[name]
            return value
        return dict.pop(self, name, *default)

    def popitem(self):
        if not self:
            raise KeyError("popitem(): dictionary is empty")
        name = next(reversed(self))
        return name, self.pop(name)

    def clear(self):
        for name in list(self):
            del self[name]

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def setdefault(self, name, default=None):
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        return dict(self)

    def __reduce_ex__(self, protocol):
        return (dict, (dict(self),))


def member_names(handle, kind):
    """The Swift module's names of one kind of member."""
    count = lib.sn_module_member_count(handle, kind)
    return [ffi.string(lib.sn_module_member_name(handle, kind, i)).decode() for i in range(count)]


def adopt_members(module):
    """Makes Python objects for the parameters, buffers and children that a Swift module has."""
    handle = module._sn
    for name in member_names(handle, PARAMETER):
        tensor = lib.sn_module_tensor(handle, PARAMETER, name.encode())
        value = wrap(tensor, Parameter) if tensor else None
        module._parameters.adopt(name, value)
        if _global_parameter_registration_hooks:
            changed = registered(_global_parameter_registration_hooks, module, name, value)
            if changed is not value:
                module._parameters[name] = changed
    for name in member_names(handle, BUFFER):
        text = name.encode()
        tensor = lib.sn_module_tensor(handle, BUFFER, text)
        value = wrap(tensor) if tensor else None
        module._buffers.adopt(name, value)
        if _global_buffer_registration_hooks:
            changed = registered(_global_buffer_registration_hooks, module, name, value)
            if changed is not value:
                module._buffers[name] = changed
        if not lib.sn_module_buffer_is_persistent(handle, text):
            module._buffers._transient.add(name)
    for name in member_names(handle, CHILD):
        child = lib.sn_module_child(handle, name.encode())
        module._modules.adopt(name, wrap_module(child) if child else None)


def wrap_module(handle):
    """The Python object of a Swift module: always the same one while it lives. Takes over the handle."""
    if not handle:
        fail()
    known = live.get(address(handle))
    if known is not None:
        lib.sn_module_release(handle)
        return known
    name = ffi.string(lib.sn_module_type(handle)).decode()
    cls = classes.get(name)
    if cls is None:
        from swiftnet.nn.modules.module import BuiltIn

        cls = type(name, (BuiltIn,), {"_type": name, "__module__": BuiltIn.__module__})
    module = cls.__new__(cls)
    module._attach(handle)
    adopt_members(module)
    return module


def set_derived(module, name, value):
    """Makes a Swift module compute with a tensor that is not a parameter, but made from others."""
    check(lib.sn_module_set_tensor(module._sn, PARAMETER, name.encode(), value._h, True))


# ---- settings ----


class Setting:
    """An attribute of a module that is a setting of the Swift module."""

    __slots__ = ("name", "text")

    def __init__(self, name):
        self.name = name
        self.text = name.encode()

    def __get__(self, module, owner=None):
        if module is None:
            return self
        value = ffi.new("sn_value *")
        try:
            check(lib.sn_module_setting(module._sn, self.text, value))
        except ValueError as error:
            raise AttributeError(str(error)) from None
        result = load(value)
        lib.sn_value_clear(value)
        return result

    def __set__(self, module, value):
        memory = []
        target = ffi.new("sn_value *")
        store_setting(target, value, memory)
        check(lib.sn_module_set_setting(module._sn, self.text, target))


def create(type_name, settings, dtype=-1, build=True):
    """A handle on a new Swift module."""
    memory = []
    names = []
    values = ffi.new("sn_value[]", max(len(settings), 1))
    for position, (name, value) in enumerate(settings.items()):
        text = ffi.new("char[]", name.encode())
        names.append(text)
        store_setting(values[position], value, memory)
    handle = lib.sn_module_create(type_name.encode(), names, values, len(names), dtype, build)
    if not handle:
        fail()
    return handle


def settings_of(handle):
    """All settings of a Swift module, as a dictionary."""
    result = {}
    value = ffi.new("sn_value *")
    for index in range(lib.sn_module_setting_count(handle)):
        text = ffi.string(lib.sn_module_setting_name(handle, index))
        check(lib.sn_module_setting(handle, text, value))
        result[text.decode()] = load(value)
        lib.sn_value_clear(value)
    return result
