"""Modules that hold others."""

import operator
from collections import OrderedDict
from collections import abc as containers
from itertools import chain, islice

from swiftnet._tensor import Parameter, Tensor
from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn, Module, _indent

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _position(index, count, what="index"):
    index = operator.index(index)
    if not -count <= index < count:
        raise IndexError(f"{what} {index} is out of range")
    return index + count if index < 0 else index


class _Listed(BuiltIn):
    """Children under the names "0", "1", …, or under names of their own."""

    def _key(self, index):
        return next(islice(self._modules, _position(index, len(self)), None))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._part(index)
        return self._modules[self._key(index)]

    def __setitem__(self, index, module):
        setattr(self, self._key(index), module)

    def __delitem__(self, index):
        if isinstance(index, slice):
            for key in list(self._modules)[index]:
                delattr(self, key)
        else:
            delattr(self, self._key(index))
        rest = list(self._modules.values())
        self._modules.clear()
        for position, module in enumerate(rest):
            self._modules[str(position)] = module

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, module):
        """Adds a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index, module):
        """Puts a module before the given position."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        count = len(self)
        if not -count <= index <= count:
            raise IndexError(f"Index out of range: {index}")
        if index < 0:
            index += count
        for position in range(count, index, -1):
            self._modules[str(position)] = self._modules[str(position - 1)]
        self._modules[str(index)] = module
        return self

    def extend(self, modules):
        """Adds modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def __iadd__(self, modules):
        return self.extend(modules)

    def pop(self, key):
        """Takes a module out and returns it."""
        module = self[key]
        del self[key]
        return module


class Sequential(_Listed):
    """Its modules one after the other, each on the result of the one before.

    Args:
        *args: modules, or one dictionary of modules with their names.

    >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """

    _type = "Sequential"

    def __init__(self, *args):
        self._build({})
        if len(args) == 1 and isinstance(args[0], dict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for position, module in enumerate(args):
                self.add_module(str(position), module)

    def _part(self, index):
        return type(self)(OrderedDict(list(self._modules.items())[index]))

    def forward(self, input):
        return forward_values(self._sn, (input,))

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __mul__(self, count):
        if not isinstance(count, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(count)}")
        if count <= 0:
            raise ValueError(f"Non-positive multiplication factor {count} for {type(self)}")
        return Sequential(*(list(self) * count))

    __rmul__ = __mul__

    def __imul__(self, count):
        modules = list(self)
        for _ in range(count - 1):
            self.extend(modules)
        return self


class ModuleList(_Listed):
    """A list of modules.

    Args:
        modules: modules to begin with.
    """

    _type = "ModuleList"
    _not_settings = BuiltIn._not_settings | {"modules"}

    def __init__(self, modules=None):
        self._build({})
        if modules is not None:
            self.extend(modules)

    def extend(self, modules):
        """Adds modules at the end."""
        if not isinstance(modules, containers.Iterable):
            raise TypeError(f"ModuleList.extend should be called with an iterable, but got {type(modules).__name__}")
        return super().extend(modules)

    def _key(self, index):
        return str(_position(index, len(self)))

    def _part(self, index):
        return type(self)(list(self._modules.values())[index])

    def __add__(self, other):
        return type(self)(chain(self, other))

    def __repr__(self):
        """The modules; neighbours that look the same only once."""
        texts = [repr(module) for module in self]
        if not texts:
            return f"{self._get_name()}()"
        runs = []
        for position, text in enumerate(texts):
            if runs and runs[-1][2] == text:
                runs[-1][1] = position
            else:
                runs.append([position, position, text])
        lines = [
            _indent(f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}")
            for first, last, text in runs
        ]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def forward(self, *input):
        raise NotImplementedError(f'Module [{self._get_name()}] is missing the required "forward" function')


class ModuleDict(BuiltIn):
    """A dictionary of modules.

    Args:
        modules: a mapping, or pairs of names and modules, to begin with.
    """

    _type = "ModuleDict"
    _not_settings = BuiltIn._not_settings | {"modules"}

    def __init__(self, modules=None):
        self._build({})
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Takes all modules out."""
        self._modules.clear()

    def pop(self, key):
        """Takes a module out and returns it."""
        module = self[key]
        del self[key]
        return module

    def keys(self):
        return self._modules.keys()

    def items(self):
        return self._modules.items()

    def values(self):
        return self._modules.values()

    def update(self, modules):
        """Adds or replaces modules."""
        if not isinstance(modules, containers.Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(modules).__name__}"
            )
        if isinstance(modules, (dict, ModuleDict)) or hasattr(modules, "items"):
            modules = modules.items()
        for position, pair in enumerate(modules):
            if not isinstance(pair, containers.Iterable):
                raise TypeError(
                    f"ModuleDict update sequence element #{position} should be Iterable; is {type(pair).__name__}"
                )
            if len(pair) != 2:
                raise ValueError(
                    f"ModuleDict update sequence element #{position} has length {len(pair)}; 2 is required"
                )
            self[pair[0]] = pair[1]

    def forward(self, *input):
        raise NotImplementedError(f'Module [{self._get_name()}] is missing the required "forward" function')


def _as_parameter(value):
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _line(name, value):
    if isinstance(value, Tensor):
        kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
        sizes = "x".join(map(str, value.size()))
        return f"({name}): {kind} containing: [{value.dtype} of size {sizes}]".replace("torch.", "")
    return f"({name}): Object of type: {type(value).__name__}"


class ParameterList(BuiltIn):
    """A list of parameters; tensors become parameters, other values are kept as they are.

    Args:
        values: to begin with.
    """

    _type = "ParameterList"
    _not_settings = BuiltIn._not_settings | {"values"}

    def __init__(self, values=None):
        self._build({})
        self._size = 0
        if values is not None:
            self += values

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)([getattr(self, str(i)) for i in range(*index.indices(len(self)))])
        return getattr(self, str(_position(index, len(self))))

    def __setitem__(self, index, value):
        setattr(self, str(_position(index, len(self))), _as_parameter(value))

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter([self[i] for i in range(len(self))])

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, value):
        """Adds a value at the end."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values):
        """Adds values at the end."""
        if not isinstance(values, containers.Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, values):
        return self.extend(values)

    def extra_repr(self):
        return "\n".join("  " + _line(i, value) for i, value in enumerate(self))

    def forward(self, *input):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(BuiltIn):
    """A dictionary of parameters; tensors become parameters, other values are kept as they are.

    Args:
        parameters: a mapping, or pairs of names and values, to begin with.
    """

    _type = "ParameterDict"
    _not_settings = BuiltIn._not_settings | {"parameters"}

    def __init__(self, parameters=None):
        self._build({})
        self._keys = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key):
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, self._attribute(key))

    def __setitem__(self, key, value):
        self._keys[key] = None
        attribute = self._attribute(key)
        value = _as_parameter(value)
        if isinstance(value, Parameter):
            self.register_parameter(attribute, value)
        else:
            setattr(self, attribute, value)

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, self._attribute(key))

    @staticmethod
    def _attribute(key):
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is not a string (type is "
                f"'{type(key).__name__}'). Open an issue on github if you need non-string keys."
            )
        return key

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def keys(self):
        return self._keys.keys()

    def items(self):
        return ((key, self[key]) for key in self._keys)

    def values(self):
        return (self[key] for key in self._keys)

    def get(self, key, default=None):
        if key not in self._keys:
            return default
        return self[key]

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key):
        """Takes a value out and returns it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self):
        for key in list(self._keys):
            del self[key]

    def copy(self):
        return ParameterDict(OrderedDict(self.items()))

    @staticmethod
    def fromkeys(keys, default=None):
        return ParameterDict((key, default) for key in keys)

    def update(self, parameters):
        """Adds or replaces values."""
        if not isinstance(parameters, containers.Iterable):
            raise TypeError(
                "ParametersDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(parameters).__name__}"
            )
        if isinstance(parameters, (dict, ParameterDict)) or hasattr(parameters, "items"):
            pairs = parameters.items()
            if not isinstance(parameters, (OrderedDict, ParameterDict)):
                pairs = sorted(pairs)
        else:
            pairs = parameters
        for key, value in pairs:
            self[key] = value

    def __or__(self, other):
        result = self.copy()
        result.update(other)
        return result

    def __ior__(self, other):
        self.update(other)
        return self

    def extra_repr(self):
        return "\n".join("  " + _line(key, value) for key, value in self.items())

    def forward(self, *input):
        raise RuntimeError("ParameterDict should not be called.")
