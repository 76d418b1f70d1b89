"""`Module`: what every part of a network is."""

import types
from collections import OrderedDict

from swiftnet import _dtypes
from swiftnet._core import check, fail, ffi, lib
from swiftnet._device import check_device
from swiftnet._tensor import Parameter, Tensor, wrap
from swiftnet.nn.modules import _binding
from swiftnet.nn.modules._binding import BUFFER, CHILD, PARAMETER, Members, Setting
from swiftnet.nn.modules._hooks import (
    HOOK_TABLES,
    HookRegistration,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)
from swiftnet.nn.modules._registration import (
    _global_buffer_registration_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from swiftnet.nn.modules._state import ATTACHED, State

__all__ = [
    "BuiltIn", "Module", "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_buffer_registration_hook", "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]  # fmt: skip

# What `state_dict` collects into.
T_destination = dict
_set = object.__setattr__
# Parameters of built-in modules that a plain tensor may take the place of, once they are deleted.
_DERIVED = frozenset(["weight", "bias"])
_forward = lib.sn_module_forward


class Module(HookRegistration, State):
    """Base class of all parts of a network.

    A subclass makes its parts in `__init__` (after `super().__init__()`) by assigning them to attributes, and computes
    in `forward`. Parameters, buffers and children are registered by that assignment.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 8)
    ...         self.out = nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())

    Each object is a handle on a module of the Swift library, which holds the parameters, buffers and children.

    Attributes:
        training: whether the module is in training mode.
    """

    dump_patches = False
    T_destination = T_destination
    call_super_init = False
    _version = 1
    # The Swift type that a built-in class stands for.
    _type = None
    _overrides = True

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        self._attach(lib.sn_module_foreign(type(self).__name__.encode()))
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def _attach(self, handle):
        """Makes this object the face of a Swift module; takes over the handle."""
        if not handle:
            fail()
        handle = ffi.gc(handle, lib.sn_module_release)
        attributes = self.__dict__
        attributes["_sn"] = handle
        attributes["_parameters"] = Members(handle, PARAMETER)
        attributes["_buffers"] = Members(handle, BUFFER)
        attributes["_modules"] = Members(handle, CHILD)
        _binding.live[_binding.address(handle)] = self
        if self._overrides or self._hooked:
            _binding.set_override(handle, True)

    @property
    def training(self):
        return lib.sn_module_training(self._sn) == 1

    @training.setter
    def training(self, mode):
        lib.sn_module_set_training(self._sn, bool(mode))

    @property
    def _non_persistent_buffers_set(self):
        return self._buffers._transient

    # ---- calls ----

    def forward(self, *input):
        """The module's computation: every subclass defines its own. Call the module itself, so that hooks run."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args, **kwargs):
        if self._hooked:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    _call_impl = __call__

    # ---- attributes ----

    def __getattr__(self, name):
        attributes = self.__dict__
        # Written out, children first: a network asks for each of them in every forward.
        members = attributes.get("_modules")
        if members is not None:
            if name in members:
                return members[name]
            members = attributes["_parameters"]
            if name in members:
                return members[name]
            members = attributes["_buffers"]
            if name in members:
                return members[name]
        if name in HOOK_TABLES:
            made = attributes[name] = OrderedDict()
            return made
        if name in ATTACHED:
            raise AttributeError(f"'{type(self).__name__}' is used before Module.__init__() was called")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _members(self, table, what):
        members = self.__dict__.get(table)
        if members is None:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        return members

    def _forget(self, name, keep):
        """Takes a name out of everything but one table."""
        self.__dict__.pop(name, None)
        for table in ("_parameters", "_buffers", "_modules"):
            if table != keep and name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                if table == "_buffers":
                    self._buffers._transient.discard(name)

    def __setattr__(self, name, value):
        if isinstance(value, Parameter):
            self._members("_parameters", "parameters")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            members = self._members("_modules", "module")
            self._forget(name, "_modules")
            members[name] = registered(_global_module_registration_hooks, self, name, value)
            return
        attributes = self.__dict__
        if name in attributes.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            self._parameters[name] = None
        elif name in attributes.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            self._modules[name] = None
        elif name in attributes.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            self._buffers[name] = value
        elif isinstance(value, Tensor) and hasattr(value, "persistent"):
            self._members("_buffers", "buffer")
            self.register_buffer(name, value, value.persistent)
        else:
            _set(self, name, value)
            if name == "forward" and "_sn" in attributes:
                _binding.set_override(self._sn, True)
            elif name in _DERIVED and self._type and "_sn" in attributes and isinstance(value, Tensor):
                _binding.set_derived(self, name, value)

    def __delattr__(self, name):
        attributes = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if name in attributes.get(table, ()):
                del attributes[table][name]
                if table == "_buffers":
                    self._buffers._transient.discard(name)
                return
        derived = name in _DERIVED and self._type and isinstance(attributes.get(name), Tensor)
        object.__delattr__(self, name)
        if derived:
            check(lib.sn_module_remove_member(self._sn, PARAMETER, name.encode()))
        if name == "forward" and not (self._overrides or self._hooked):
            _binding.set_override(self._sn, False)

    def __dir__(self):
        names = set(dir(type(self))) | set(self.__dict__)
        names |= set(self._parameters) | set(self._buffers) | set(self._modules)
        return sorted(name for name in names if not name[:1].isdigit())

    # ---- registration ----

    def _check_name(self, name, what):
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {_type_name(name)}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}' if what == "module"
                           else f'{what} name can\'t contain "."')  # fmt: skip
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')

    def register_parameter(self, name, param):
        """Adds a parameter under a name; None registers the name without a value."""
        parameters = self._members("_parameters", "parameter")
        self._check_name(name, "parameter")
        if name not in parameters and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_type_name(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if not param.is_leaf:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly."
                    f" To express '{name}' as a function of another Tensor, compute the value in the forward() method."
                )
        parameters[name] = registered(_global_parameter_registration_hooks, self, name, param)

    def register_buffer(self, name, tensor, persistent=True):
        """Adds a tensor that is not trained: part of the state_dict if `persistent`."""
        buffers = self._members("_buffers", "buffer")
        self._check_name(name, "buffer")
        if name not in buffers and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        if persistent:
            buffers._transient.discard(name)
        else:
            buffers._transient.add(name)
        buffers[name] = registered(_global_buffer_registration_hooks, self, name, tensor)

    def add_module(self, name, module):
        """Adds a child under a name."""
        children = self._members("_modules", "module")
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_name(name, "module")
        if name not in children and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        children[name] = registered(_global_module_registration_hooks, self, name, module)

    def register_module(self, name, module):
        """Adds a child under a name."""
        self.add_module(name, module)

    def get_submodule(self, target):
        """The descendant under a dotted name; the module itself for ""."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Replaces the descendant under a dotted name."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        if name in parent._modules or not hasattr(parent, name):
            parent._modules[name] = module
        else:
            raise AttributeError(f"`{name}` is not an nn.Module")

    def get_parameter(self, target):
        """The parameter under a dotted name."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        found = getattr(module, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target):
        """The buffer under a dotted name."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return module._buffers[name]

    # ---- traversal ----

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """This module and all below, with their dotted names; what is shared once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, prefix + ("." if prefix else "") + name, remove_duplicate)

    def modules(self):
        """This module and all below."""
        for _, module in self.named_modules():
            yield module

    def named_children(self):
        """The children with their names; what is shared once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The children."""
        for _, module in self.named_children():
            yield module

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in get_members_fn(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield path + ("." if path else "") + name, value

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Parameters with their dotted names."""
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """Parameters, for an optimizer."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Buffers with their dotted names."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """Buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn):
        """Calls `fn` with every module below and then with this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- modes ----

    def train(self, mode=True):
        """Switches this module and all below to training mode, or to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Switches to evaluation: dropout passes on, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Whether backward computes gradients for the parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Takes the gradients away, or sets them to zero."""
        for parameter in self.parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                if gradient.grad_fn is not None:
                    gradient.detach_()
                else:
                    gradient.requires_grad_(False)
                gradient.zero_()

    def share_memory(self):
        """Does nothing: memory is not shared between processes."""
        return self

    # ---- conversion ----

    def _apply(self, fn, recurse=True):
        if recurse:
            for module in self.children():
                module._apply(fn)
        from swiftnet.autograd import no_grad

        for parameter in self._parameters.values():
            if parameter is None:
                continue
            gradient = parameter.grad
            with no_grad():
                changed = fn(parameter.data)
            if changed.dtype is not parameter.dtype and gradient is not None:
                parameter.grad = None
            parameter.data = changed
            if gradient is not None:
                with no_grad():
                    parameter.grad = fn(gradient.data).requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                changed = fn(buffer)
                if changed is not buffer:
                    self._buffers[name] = changed
        return self

    def to(self, *args, **kwargs):
        """Converts parameters and buffers: `to(dtype)`, `to(device)`, `to(tensor)`.

        Floating-point parameters and buffers take the dtype; others stay as they are.
        """
        dtype, device, memory_format = kwargs.pop("dtype", None), kwargs.pop("device", None), None
        memory_format = kwargs.pop("memory_format", None)
        kwargs.pop("non_blocking", None)
        if kwargs:
            raise TypeError(f"to() received an invalid combination of arguments: {', '.join(kwargs)}")
        for argument in args:
            if isinstance(argument, Tensor):
                dtype = argument.dtype
            elif isinstance(argument, _dtypes.dtype) or argument in (float, int) and not isinstance(argument, bool):
                dtype = argument
            elif not isinstance(argument, bool) and argument is not None:
                device = argument
        check_device(device)
        if dtype is not None:
            dtype = _dtypes.ALL[_dtypes.code(dtype)]
            if not dtype.is_floating_point:
                raise TypeError(
                    f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
                )

        def convert(t):
            if memory_format is not None and t.dim() in (4, 5) and memory_format.name.startswith("channels_last"):
                t = t.contiguous(memory_format=memory_format)
            return t.to(dtype) if dtype is not None and t.is_floating_point() else t

        return self._apply(convert)

    def type(self, dst_type):
        """Converts all parameters and buffers."""
        return self._apply(lambda t: t.to(dst_type))

    def float(self):
        """Converts floating-point parameters and buffers to float32."""
        return self.to(_dtypes.float32)

    def double(self):
        """Converts floating-point parameters and buffers to float64."""
        return self.to(_dtypes.float64)

    def half(self):
        """Converts floating-point parameters and buffers to float16."""
        return self.to(_dtypes.float16)

    def bfloat16(self):
        """Converts floating-point parameters and buffers to bfloat16."""
        return self.to(_dtypes.bfloat16)

    def cpu(self):
        """The module: it already is on the CPU."""
        return self

    def cuda(self, device=None):
        """Raises: there is no CUDA. See `swiftnet.cuda.fall_back_to_cpu`."""
        check_device("cuda" if device is None else device if isinstance(device, str) else f"cuda:{device}")
        return self

    def to_empty(self, *, device=None, recurse=True):
        """The module with memory of undefined contents."""
        check_device(device)
        return self._apply(lambda t: wrap(lib.sn_clone(t._h)), recurse)

    # ---- text ----

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """What the module's text says of its settings."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indent(repr(module))}" for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

    def _repr_html_(self):
        from swiftnet._display import module_html

        return module_html(self)

    def compile(self, *args, **kwargs):
        """Does nothing: there is nothing to compile."""


class BuiltIn(Module):
    """Base class of the modules that the Swift library computes."""

    _overrides = False
    _own_forward = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "_type" in cls.__dict__:
            if "forward" not in cls.__dict__ and cls.forward.__qualname__.startswith(("BuiltIn.", "_")):
                cls.forward = _named_forward(cls)
            cls._own_forward = cls.forward
            cls._overrides = False
            _binding.classes[cls._type] = cls
            code = getattr(cls.__init__, "__code__", None)
            if code is not None:
                hidden = cls._not_settings
                for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]:
                    if name not in hidden:
                        setattr(cls, name, Setting(name))
        elif cls._type:
            cls._overrides = cls.forward is not cls._own_forward or cls.__call__ is not Module.__call__

    # Arguments of constructors that are no attributes.
    _not_settings = frozenset(["bias", "device", "dtype", "size_average", "reduce", "weight", "pos_weight", "args"])

    def _build(self, arguments):
        """Makes the Swift module from the arguments of the constructor, as `locals()` gives them."""
        settings = {k: v for k, v in arguments.items() if k not in ("self", "__class__", "device", "dtype")}
        check_device(arguments.get("device"))
        dtype = arguments.get("dtype")
        self._attach(_binding.create(self._type, settings, _dtypes.code(dtype)))
        _binding.adopt_members(self)

    def forward(self, input):
        """Runs the Swift module on a tensor."""
        try:
            h = _forward(self._sn, input._h)
        except (AttributeError, TypeError):
            if isinstance(input, Tensor):
                raise
            raise TypeError(
                f"{self._get_name().lower()}(): argument 'input' (position 1) must be Tensor, not {_type_name(input)}"
            ) from None
        if h == input._h:
            lib.sn_release(h)
            return input
        return wrap(h)

    def reset_parameters(self):
        """Draws the parameters anew, as they were drawn at first."""
        check(lib.sn_module_reset_parameters(self._sn))


def _named_forward(cls):
    """A base's `forward` under the name of a class, for the messages of wrong calls."""
    forward = cls.forward
    copy = types.FunctionType(
        forward.__code__, forward.__globals__, "forward", forward.__defaults__, forward.__closure__
    )
    copy.__qualname__, copy.__doc__, copy.__module__ = f"{cls.__name__}.forward", forward.__doc__, cls.__module__
    return copy


def _type_name(value):
    cls = type(value)
    if isinstance(value, Tensor):
        return value.type()
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _indent(text):
    return text.replace("\n", "\n  ")
