"""Optimizers that the Swift library runs."""

import operator
from collections.abc import MutableMapping

from swiftnet._core import NULL, check, fail, ffi, lib
from swiftnet._tensor import Tensor, tensor, wrap
from swiftnet.autograd.grad_mode import enable_grad
from swiftnet.optim.optimizer import Optimizer


class BuiltInOptimizer(Optimizer):
    """An optimizer that the Swift library runs, on all parameters in one call.

    A subclass names the Swift type, the options that count, and what its state holds.
    """

    _type = None
    # Names of options that count.
    _options = ()
    # Options that are pairs, and what the Swift library calls their numbers.
    _pairs = {"betas": ("beta1", "beta2")}  # noqa: RUF012 - not changed
    # What a parameter's state holds, in PyTorch's order; which of these are numbers, shown as tensors.
    _state = ()
    _numbers = ("step",)

    def __init__(self, params, defaults):
        self._connect()
        self._check(defaults)
        super().__init__(params, defaults)

    def _connect(self):
        handle = lib.sn_optimizer_create(self._type.encode())
        if not handle:
            fail()
        self._h = ffi.gc(handle, lib.sn_optimizer_release)
        # What the Swift optimizer has been told: parameters and options of each group.
        self._told = []

    def _make_state(self):
        return _State(self)

    def _parameter_state(self, parameter):
        return ParameterState(self, parameter)

    def _check(self, options):
        """Raises if the options make no sense."""
        if options.get("fused") and options.get("foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        if options.get("fused") and options.get("differentiable"):
            raise RuntimeError("`fused` does not support `differentiable`")
        if options.get("differentiable"):
            raise NotImplementedError(
                f"{self._type}(differentiable=True): the step is one pass over memory that records nothing"
            )
        if any(name not in options for name in self._options):
            return
        check(lib.sn_optimizer_set_group(self._h, 0, [], 0))
        self._tell_options(0, self._values(options))
        check(lib.sn_optimizer_check(self._h, 0))
        check(lib.sn_optimizer_keep_groups(self._h, 0))

    def _values(self, group):
        return [group[name] for name in self._options]

    def _tell_options(self, index, values):
        for name, value in zip(self._options, values, strict=True):
            names = self._pairs.get(name)
            for part, number in zip(names, value, strict=True) if names else ((name, value),):
                number = float("nan") if number is None else float(number)
                check(lib.sn_optimizer_set_option(self._h, index, part.encode(), number))

    def _tell(self):
        """Passes on what was changed in the groups since the last step."""
        told = self._told
        for index, group in enumerate(self.param_groups):
            params = group["params"]
            if index == len(told):
                told.append(([], None))
            known, values = told[index]
            if len(known) != len(params) or not all(map(operator.is_, known, params)) or values is None:
                check(lib.sn_optimizer_set_group(self._h, index, [p._h for p in params], len(params)))
                known = list(params)
            current = [float(v) if isinstance(v, Tensor) else v for v in self._values(group)]
            if current != values:
                self._tell_options(index, current)
            told[index] = (known, current)
        if len(told) > len(self.param_groups):
            check(lib.sn_optimizer_keep_groups(self._h, len(self.param_groups)))
            del told[len(self.param_groups) :]

    def step(self, closure=None):
        """Changes every parameter that has a gradient.

        Args:
            closure: computes the loss anew and returns it.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._tell()
        check(lib.sn_optimizer_step(self._h))
        return loss

    def __setattr__(self, name, value):
        if name == "state" and not isinstance(value, _State):
            state = self.__dict__.get("state")
            if state is not None:
                state.replace(value)
                return
        object.__setattr__(self, name, value)

    def __getstate__(self):
        return super().__getstate__() | {"state": {p: dict(s) for p, s in self.state.items()}}

    def __setstate__(self, state):
        if "_h" not in self.__dict__:
            self._connect()
            self.__dict__["state"] = _State(self)
        state = dict(state)
        held = state.pop("state")
        if isinstance(held, _State):
            held = {p: dict(s) for p, s in held.items()}
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
        self._told.clear()
        self._tell()
        self.state.replace(held)


class _State(MutableMapping):
    """The state of every parameter, as the Swift optimizer keeps it. A parameter without state has an empty one."""

    def __init__(self, optimizer):
        self._optimizer = optimizer
        self._others = {}

    def _parameters(self):
        for group in self._optimizer.param_groups:
            yield from group["params"]

    def __getitem__(self, parameter):
        if not isinstance(parameter, Tensor):
            return self._others[parameter]
        return self._optimizer._parameter_state(parameter)

    def __setitem__(self, parameter, value):
        if not isinstance(parameter, Tensor):
            self._others[parameter] = value
            return
        optimizer = self._optimizer
        items = dict(value)
        check(lib.sn_optimizer_clear_state(optimizer._h, parameter._h))
        state = optimizer._parameter_state(parameter)
        for name, item in items.items():
            state[name] = item

    def __delitem__(self, parameter):
        if not isinstance(parameter, Tensor):
            del self._others[parameter]
            return
        check(lib.sn_optimizer_clear_state(self._optimizer._h, parameter._h))

    def __contains__(self, parameter):
        if isinstance(parameter, Tensor):
            return lib.sn_optimizer_steps(self._optimizer._h, parameter._h) >= 0
        return parameter in self._others

    def __iter__(self):
        for parameter in self._parameters():
            if parameter in self:
                yield parameter
        yield from self._others

    def __len__(self):
        return sum(1 for _ in self)

    def clear(self):
        """Forgets everything."""
        check(lib.sn_optimizer_clear_state(self._optimizer._h, NULL))
        self._others.clear()

    def replace(self, values):
        """Takes over other state."""
        values = {parameter: dict(state) if isinstance(parameter, Tensor) else state
                  for parameter, state in values.items()}  # fmt: skip
        self.clear()
        for parameter, state in values.items():
            self[parameter] = state

    def __repr__(self):
        return repr({parameter: dict(self[parameter]) for parameter in self})


class ParameterState(MutableMapping):
    """The state of one parameter: tensors that share memory with the Swift optimizer's."""

    __slots__ = ("_optimizer", "_parameter")

    def __init__(self, optimizer, parameter):
        self._optimizer = optimizer
        self._parameter = parameter

    def _read_number(self, name):
        """A number, or None."""
        optimizer, parameter = self._optimizer, self._parameter
        if name == "step":
            steps = lib.sn_optimizer_steps(optimizer._h, parameter._h)
            return steps if steps >= 0 else None
        value = ffi.new("double *")
        found = lib.sn_optimizer_number(optimizer._h, parameter._h, name.encode(), value)
        if found < 0:
            fail()
        return value[0] if found else None

    def _write_number(self, name, value):
        optimizer, parameter = self._optimizer, self._parameter
        number = 0.0 if value is None else float(value)
        if name == "step":
            check(lib.sn_optimizer_set_steps(optimizer._h, parameter._h, number))
        else:
            check(lib.sn_optimizer_set_number(optimizer._h, parameter._h, name.encode(), value is not None, number))

    def _read_tensor(self, name):
        """A tensor, or None."""
        handle = lib.sn_optimizer_state(self._optimizer._h, self._parameter._h, name.encode())
        return wrap(handle) if handle else None

    def _write_tensor(self, name, value):
        held = NULL if value is None else value._h
        check(lib.sn_optimizer_set_state(self._optimizer._h, self._parameter._h, name.encode(), held))

    def __getitem__(self, name):
        optimizer = self._optimizer
        if name in optimizer._state:
            is_number = name in optimizer._numbers
            value = self._read_number(name) if is_number else self._read_tensor(name)
            if value is not None:
                return tensor(value) if is_number else value
        raise KeyError(name)

    def __setitem__(self, name, value):
        optimizer = self._optimizer
        if name not in optimizer._state:
            raise KeyError(f"{optimizer._type} keeps no '{name}'")
        if name in optimizer._numbers:
            self._write_number(name, value)
        else:
            self._write_tensor(name, value)

    def __delitem__(self, name):
        if name not in self:
            raise KeyError(name)
        self[name] = None

    def __iter__(self):
        for name in self._optimizer._state:
            if name in self:
                yield name

    def __len__(self):
        return sum(1 for _ in self)

    def __repr__(self):
        return repr(dict(self))
