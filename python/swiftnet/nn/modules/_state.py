"""The state of modules: state_dict, copies and pickles."""

import itertools
from collections import OrderedDict, namedtuple

from swiftnet import _dtypes
from swiftnet._core import lib
from swiftnet._tensor import Parameter, Tensor
from swiftnet.nn.modules import _binding

# What ties a Python object to its Swift module.
ATTACHED = frozenset(["_sn", "_parameters", "_buffers", "_modules"])


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` found missing and what it did not expect."""

    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class State:
    """The part of `Module` that is about its state."""

    def get_extra_state(self):
        """What a subclass wants to have in the state_dict besides tensors; `set_extra_state` gets it back."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state):
        """Takes what `get_extra_state` gave."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    def _has_extra_state(self):
        return type(self).get_extra_state is not State.get_extra_state

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, parameter in self._parameters.items():
            if parameter is not None:
                destination[prefix + name] = parameter if keep_vars else parameter.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._buffers._transient:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if self._has_extra_state():
            destination[prefix + "_extra_state"] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Parameters and persistent buffers by their dotted names, sharing memory with the module.

        Args:
            destination: a dictionary to add to.
            prefix: put before every name.
            keep_vars: give the parameters themselves instead of detached tensors.
        """
        for position, value in enumerate(args):
            if position == 0:
                destination = value if destination is None else destination
            elif position == 1:
                prefix = value if prefix == "" else prefix
            elif position == 2:
                keep_vars = value if keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, metadata)
            if changed is not None:
                if getattr(hook, "_from_public_api", False):
                    raise RuntimeError("state_dict post-hook must return None")
                destination = changed
        return destination

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        from swiftnet.autograd import no_grad
        from swiftnet.nn.parameter import is_lazy

        transient = self._buffers._transient
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = itertools.chain(
            self._parameters.items(), ((n, b) for n, b in self._buffers.items() if n not in transient)
        )
        own = [(name, value) for name, value in own if value is not None]
        for name, target in own:
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            source = as_tensor(state_dict[key])
            if not isinstance(source, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                    f"checkpoint but received {type(source)}"
                )
                continue
            if is_lazy(target) and is_lazy(source):
                continue
            if not is_lazy(source) and target.dim() == 0 and source.dim() == 1 and source.numel() == 1:
                source = source[0]
            if source.shape != target.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {source.shape} from checkpoint, "
                    f"the shape in current model is {target.shape}."
                )
                continue
            try:
                with no_grad():
                    if not assign:
                        target.copy_(source)
                        continue
                if isinstance(target, Parameter):
                    if not isinstance(source, Parameter):
                        source = Parameter(source, requires_grad=target.requires_grad)
                    else:
                        source.requires_grad_(target.requires_grad)
                setattr(self, name, source)
            except Exception as error:
                error_msgs.append(
                    f'While copying the parameter named "{key}", whose dimensions in the model are {target.size()} and '
                    f"whose dimensions in the checkpoint are {source.size()}, an exception occurred : {error.args}."
                )
        extra = prefix + "_extra_state"
        if type(self).set_extra_state is not State.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            names = {name for name, _ in own}
            for key in state_dict:
                if key.startswith(prefix) and key != extra:
                    first, *rest = key[len(prefix) :].split(".", 1)
                    if (first not in self._modules) if rest else (first not in names):
                        unexpected_keys.append(key)

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copies values into the parameters and buffers of the same names.

        Args:
            strict: every name of the module has to be there, and none else.
            assign: put the given tensors in the place of the module's, instead of copying.

        Returns:
            the names that were missing and those that were not expected.
        """
        if not hasattr(state_dict, "items") or not hasattr(state_dict, "keys"):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing, unexpected, errors = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        state = OrderedDict(state_dict)

        def load(module, values, prefix=""):
            local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
            if assign:
                local["assign_to_params_buffers"] = assign
            module._load_from_state_dict(values, prefix, local, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    inner = f"{prefix}{name}."
                    load(child, {k: v for k, v in values.items() if k.startswith(inner)}, inner)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                        "values, if incompatible_keys need to be modified, it should be done inplace."
                    )

        load(self, state)
        if strict:
            if unexpected:
                names = ", ".join(f'"{key}"' for key in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {names}. ")
            if missing:
                names = ", ".join(f'"{key}"' for key in missing)
                errors.insert(0, f"Missing key(s) in state_dict: {names}. ")
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))
        return _IncompatibleKeys(missing, unexpected)

    # ---- copies ----

    def _state(self):
        """Everything of this object, for a copy."""
        attributes = {k: v for k, v in self.__dict__.items() if k not in ATTACHED}
        settings = _binding.settings_of(self._sn) if self._type else {}
        return {
            "attributes": attributes,
            "settings": settings,
            "training": self.training,
            "parameters": dict(self._parameters),
            "buffers": dict(self._buffers),
            "transient": set(self._buffers._transient),
            "modules": dict(self._modules),
        }

    def __reduce_ex__(self, protocol):
        if "__getstate__" in _attributes_below_module(type(self)):
            return (_rebuild, (type(self), self._type), {"base": State._state(self), "own": self.__getstate__()})
        return (_rebuild, (type(self), self._type), self._state())

    def __setstate__(self, state):
        if "base" in state and "own" in state:
            State.__setstate__(self, state["base"])
            self.__setstate__(state["own"])
            return
        if "settings" not in state:
            self.__dict__.update({k: v for k, v in state.items() if k not in ATTACHED})
            return
        if self._type:
            self._attach(_binding.create(self._type, state["settings"], build=False))
        else:
            self._attach(lib.sn_module_foreign(type(self).__name__.encode()))
        self.__dict__.update(state["attributes"])
        self.training = state["training"]
        for name, parameter in state["parameters"].items():
            self._parameters[name] = parameter
        self._buffers._transient.update(state["transient"])
        for name, buffer in state["buffers"].items():
            self._buffers[name] = buffer
        for name, module in state["modules"].items():
            self._modules[name] = module
        if "_hooked" in self.__dict__ or "forward" in self.__dict__:
            _binding.set_override(self._sn, True)


def as_tensor(value):
    """Tensors of other libraries and NumPy arrays as tensors; anything else as it is."""
    if isinstance(value, Tensor) or not hasattr(value, "__array__"):
        return value
    from swiftnet import tensor

    if hasattr(value, "detach"):
        value = value.detach()
        if str(value.dtype).endswith("bfloat16"):
            return tensor(value.float().numpy()).to(_dtypes.bfloat16)
    return tensor(value.__array__())


def _attributes_below_module(cls):
    names = set()
    for base in cls.__mro__:
        if base is State:
            break
        names |= set(base.__dict__)
    return names


def _rebuild(cls, type_name):
    return cls.__new__(cls)
