"""Parameters that are computed from others, by modules."""

import contextlib
from collections.abc import Sequence

from swiftnet._tensor import Parameter, Tensor
from swiftnet.autograd import no_grad
from swiftnet.nn.modules import _binding
from swiftnet.nn.modules.container import ModuleDict, ModuleList

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_caching = 0
_cache = {}


@contextlib.contextmanager
def cached():
    """Computes each parametrized tensor once while the context is active."""
    global _caching
    _caching += 1
    try:
        yield
    finally:
        _caching -= 1
        if not _caching:
            _cache.clear()


def _register(module, name, value):
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _like(original, value):
    """A parameter or buffer with new values, as the original was one."""
    if isinstance(original, Parameter):
        return Parameter(value.detach().clone(), requires_grad=original.requires_grad)
    return value.detach().clone()


def _require_same(got, wanted, what):
    if got.dtype != wanted.dtype:
        raise ValueError(
            f"{what} may not change the dtype of the tensor, unless `unsafe` flag is enabled.\n"
            f"original.dtype: {wanted.dtype}\nparametrized.dtype: {got.dtype}"
        )
    if got.shape != wanted.shape:
        raise ValueError(
            f"{what} may not change the shape of the tensor, unless `unsafe` flag is enabled.\n"
            f"original.shape: {wanted.shape}\nparametrized.shape: {got.shape}"
        )


class ParametrizationList(ModuleList):
    """The modules that compute one tensor, one after the other, and the tensor (or tensors) that they start from.

    Args:
        modules: the parametrizations.
        original: the parameter or buffer to compute.
        unsafe: do not check that shape and dtype stay.

    Attributes:
        original: what the first module gets; original0, original1, … if its right_inverse gives several tensors.
    """

    def __init__(self, modules, original, unsafe=False):
        modules = list(modules)
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        start = original
        with no_grad():
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        start = module.right_inverse(start)
        if not isinstance(start, Tensor) and not isinstance(start, Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(start).__name__}"
            )
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if self.is_tensor:
            if start is not original:
                if original.dtype != start.dtype:
                    raise ValueError(
                        "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                        f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {start.dtype}"
                    )
                # The parameter itself stays, so that an optimizer that knows it goes on with it.
                original.data = start.detach().clone()
            _register(self, "original", original)
        else:
            for position, value in enumerate(start):
                if not isinstance(value, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {position} of the sequence with type {type(value).__name__}."
                    )
                _register(self, f"original{position}", _like(original, value))
        if not unsafe:
            result = self()
            if not isinstance(result, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
            _require_same(result, original, "Registering a parametrization")

    def _originals(self):
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{position}") for position in range(self.ntensors)]

    def right_inverse(self, value):
        """Sets the originals so that the parametrized tensor becomes `value`."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            values = [value] if self.is_tensor else value
            if not self.is_tensor and (not isinstance(value, Sequence) or len(value) != self.ntensors):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got {type(value).__name__}."
                )
            for original, new in zip(self._originals(), values, strict=True):
                if not isinstance(new, Tensor):
                    raise ValueError(f"`right_inverse` should return a tensor. Got {type(new).__name__}")
                if new.dtype != original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {new.dtype} while `original` has dtype "
                        f"{original.dtype}"
                    )
                original.data = new.detach().clone()

    def forward(self):
        first, *rest = self
        result = first(*self._originals())
        for module in rest:
            result = module(result)
        return result


def _value(module, name):
    """The present value of a parametrized tensor."""
    if _caching:
        key = (id(module), name)
        if key not in _cache:
            _cache[key] = module.parametrizations[name]()
        return _cache[key]
    return module.parametrizations[name]()


def _property(name):
    def assign(module, value):
        module.parametrizations[name].right_inverse(value)

    return property(lambda module: _value(module, name), assign)


def _inject_class(module):
    """Gives the module a class of its own, which can have properties."""
    base = type(module)

    def forward(self, *args, **kwargs):
        # The library's module computes with what the parametrizations give now.
        for name in self.parametrizations:
            _binding.set_derived(self, name, getattr(self, name))
        return base.forward(self, *args, **kwargs)

    def assign(self, name, value):
        place = getattr(type(self), name, None)
        if isinstance(place, property):
            place.fset(self, value)
        else:
            base.__setattr__(self, name, value)

    members = {"__setattr__": assign, "__module__": base.__module__, "_is_parametrized": True}
    if base._type:
        members["forward"] = forward
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), members)
    if base._type:
        _binding.set_override(module._sn, True)


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Makes a parameter or buffer the result of a module, which gets the original as its input.

    Args:
        module: the module, which is changed and returned.
        tensor_name: of the parameter or buffer. Registering again adds to the chain.
        parametrization: a module. Its method `right_inverse`, if it has one, says what the original has to be for a
            wanted value, and makes assignment possible.
        unsafe: the result may have another shape or dtype.

    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).transpose(-1, -2)
    >>> layer = swiftnet.nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            value = getattr(module, tensor_name)
            with no_grad():
                result = parametrization(value)
            if not isinstance(result, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
            _require_same(result, value, "Registering a parametrization")
            if hasattr(parametrization, "right_inverse"):
                with no_grad():
                    back = parametrization.right_inverse(result)
                if not isinstance(back, Tensor):
                    raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}")
                _require_same(back, value, "The tensor returned by parametrization.right_inverse")
        module.parametrizations[tensor_name].append(parametrization)
        module.parametrizations[tensor_name].unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        parametrizations = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_class(module)
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        module.parametrizations[tensor_name] = parametrizations
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    return module


def is_parametrized(module, tensor_name=None):
    """Whether a module has any parametrized tensor, or one of the given name."""
    parametrizations = module._modules.get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Makes a parametrized tensor a plain parameter or buffer again.

    Args:
        leave_parametrized: with its present value; otherwise with the original one.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrizations = module.parametrizations[tensor_name]
    if parametrizations.is_tensor:
        original = parametrizations.original
        if leave_parametrized:
            with no_grad():
                original.data = getattr(module, tensor_name).detach().clone()
    else:
        if not leave_parametrized:
            raise ValueError(
                "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
                "sequence of tensors."
            )
        with no_grad():
            value = getattr(module, tensor_name).detach().clone()
        original = Parameter(value) if isinstance(parametrizations.original0, Parameter) else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        del module._modules["parametrizations"]
        base = type(module).__bases__[0]
        module.__class__ = base
        if not (module._overrides or module._hooked):
            _binding.set_override(module._sn, False)
    _register(module, tensor_name, original)
    return module


def type_before_parametrizations(module):
    """The module's class without what the parametrizations add to it."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Gives another module of the same kind the parametrizations and the originals of one."""
    if not is_parametrized(from_module):
        return to_module
    names = from_module.parametrizations if tensor_name is None else [tensor_name]
    for name in names:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in from_module.parametrizations[name]:
            register_parametrization(to_module, name, parametrization)
        target, source = to_module.parametrizations[name], from_module.parametrizations[name]
        for new, old in zip(target._originals(), source._originals(), strict=True):
            new.data = old.detach().clone()
    return to_module
