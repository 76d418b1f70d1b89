"""What all optimizers have in common."""

import functools
from collections import OrderedDict, defaultdict
from collections.abc import MutableMapping

from swiftnet._core import NULL, lib
from swiftnet._tensor import Tensor
from swiftnet.nn.modules._hooks import RemovableHandle

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]


class _Required:
    """Marks an option that every group has to set."""

    def __repr__(self):
        return "<required parameter>"


required = _Required()
_global_pre_hooks = OrderedDict()
_global_post_hooks = OrderedDict()


def register_optimizer_step_pre_hook(hook):
    """Calls `hook(optimizer, args, kwargs)` before every step of any optimizer."""
    handle = RemovableHandle(_global_pre_hooks)
    _global_pre_hooks[handle.id] = hook
    return handle


def register_optimizer_step_post_hook(hook):
    """Calls `hook(optimizer, args, kwargs)` after every step of any optimizer."""
    handle = RemovableHandle(_global_post_hooks)
    _global_post_hooks[handle.id] = hook
    return handle


def _with_hooks(step):
    """A step that runs the hooks around it."""

    @functools.wraps(step)
    def run(self, *args, **kwargs):
        if not (self._step_pre_hooks or self._step_post_hooks or _global_pre_hooks or _global_post_hooks):
            return step(self, *args, **kwargs)
        for hook in [*_global_pre_hooks.values(), *self._step_pre_hooks.values()]:
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        for hook in [*self._step_post_hooks.values(), *_global_post_hooks.values()]:
            hook(self, args, kwargs)
        return result

    run._hooked = True
    return run


class Optimizer:
    """Base class of all optimizers, also of those written in Python.

    Args:
        params: parameters, pairs of names and parameters, or dictionaries with "params" and options of their own.
        defaults: the options of a group that does not set them.

    Attributes:
        param_groups: list of dictionaries with "params" and options; what is changed there counts from the next step.
        state: what is remembered of each parameter.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not getattr(step, "_hooked", False):
            cls.step = _with_hooks(step)

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._make_hooks()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}"
            )
        self.state = self._make_state()
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self):
        self._step_pre_hooks = OrderedDict()
        self._step_post_hooks = OrderedDict()
        self._state_dict_pre_hooks = OrderedDict()
        self._state_dict_post_hooks = OrderedDict()
        self._load_state_dict_pre_hooks = OrderedDict()
        self._load_state_dict_post_hooks = OrderedDict()

    def _make_state(self):
        return defaultdict(dict)

    def add_param_group(self, param_group):
        """Adds a dictionary with "params" and options."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        else:
            params = list(params)
        names = []
        tensors = []
        for entry in params:
            if isinstance(entry, tuple) and len(entry) == 2:
                names.append(entry[0])
                entry = entry[1]
            tensors.append(entry)
            if not isinstance(entry, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(entry).__name__}")
            if not self.defaults.get("differentiable", None) and not (entry.is_leaf or _retains_grad(entry)):
                raise ValueError("can't optimize a non-leaf Tensor")
        if names and len(names) != len(tensors):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        param_group["params"] = tensors
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len({id(t) for t in tensors}) != len(tensors):
            import warnings

            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information", stacklevel=3,
            )  # fmt: skip
        known = {id(t) for group in self.param_groups for t in group["params"]}
        if known & {id(t) for t in tensors}:
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none=True):
        """Takes the gradients away, or sets them to zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.__dict__.pop("_grad", None)
                    lib.sn_set_grad(parameter._h, NULL)
                    continue
                gradient = parameter.grad
                if gradient is not None:
                    if gradient.grad_fn is not None:
                        gradient.detach_()
                    else:
                        gradient.requires_grad_(False)
                    gradient.zero_()

    def step(self, closure=None):
        """Changes the parameters by their gradients.

        Args:
            closure: computes the loss anew and returns it.
        """
        raise NotImplementedError

    # ---- state ----

    def state_dict(self):
        """The state by the parameters' positions, and the groups' options."""
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        positions = {}
        groups = []
        for group in self.param_groups:
            packed = {name: value for name, value in group.items() if name != "params"}
            for parameter in group["params"]:
                positions.setdefault(id(parameter), len(positions))
            packed["params"] = [positions[id(parameter)] for parameter in group["params"]]
            groups.append(packed)
        state = {}
        for key, value in self.state.items():
            position = positions[id(key)] if isinstance(key, Tensor) else key
            state[position] = dict(value) if isinstance(value, MutableMapping) else value
        result = {"state": state, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict):
        """Takes what `state_dict` of an optimizer over the same parameters gave."""
        state_dict = dict(state_dict)
        for hook in self._load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved = [dict(group) for group in state_dict["param_groups"]]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for own, other in zip(self.param_groups, saved, strict=True):
            if len(own["params"]) != len(other["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
                )
        parameters = {}
        for own, other in zip(self.param_groups, saved, strict=True):
            parameters.update(zip(other["params"], own["params"], strict=True))
        state = self._make_state()
        for key, value in state_dict["state"].items():
            if key in parameters:
                parameter = parameters[key]
                if isinstance(value, (dict, MutableMapping)):
                    value = {name: _fitting(name, item, parameter) for name, item in value.items()}
                state[parameter] = value
            else:
                state[key] = value
        groups = []
        for own, other in zip(self.param_groups, saved, strict=True):
            if "param_names" in own and "param_names" not in other:
                other["param_names"] = own["param_names"]
            other["params"] = own["params"]
            groups.append(other)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        if "_step_pre_hooks" not in self.__dict__:
            self._make_hooks()
        self.defaults.setdefault("differentiable", False)

    # ---- hooks ----

    def _register(self, table, hook, prepend=False):
        handle = RemovableHandle(table)
        table[handle.id] = hook
        if prepend:
            table.move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook):
        """Calls `hook(optimizer, args, kwargs)` before each step."""
        return self._register(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return self._register(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Calls `hook(optimizer)` before `state_dict`."""
        return self._register(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Calls `hook(optimizer, state_dict)` after `state_dict`; what it returns takes its place."""
        return self._register(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Calls `hook(optimizer, state_dict)` before loading; what it returns takes its place."""
        return self._register(self._load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Calls `hook(optimizer)` after loading."""
        return self._register(self._load_state_dict_post_hooks, hook, prepend)

    def __repr__(self):
        text = type(self).__name__ + " ("
        for index, group in enumerate(self.param_groups):
            text += f"\nParameter Group {index}\n"
            for name in sorted(group):
                if name != "params":
                    text += f"    {name}: {group[name]}\n"
        return text + ")"


def _retains_grad(tensor):
    return bool(getattr(tensor, "retains_grad", False))


def _fitting(name, value, parameter):
    """A saved value as the parameter needs it: tensors in its dtype, except the count of steps."""
    from swiftnet.nn.modules._state import as_tensor

    if isinstance(value, (list, tuple)):
        return type(value)(_fitting(name, item, parameter) for item in value)
    value = as_tensor(value)
    if isinstance(value, Tensor):
        if name == "step":
            return value.detach().clone()
        value = value.detach()
        return value.to(parameter.dtype) if parameter.is_floating_point() else value
    return value
