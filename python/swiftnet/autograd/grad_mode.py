"""Context managers and decorators that say whether operations are recorded, by thread."""

import functools

from swiftnet._core import lib

_CO_GENERATOR = 0x20


def is_grad_enabled():
    """Whether operations on tensors that require gradients are recorded."""
    return bool(lib.sn_is_grad_enabled())


def _makes_generator(function):
    """What `inspect.isgeneratorfunction` tells; that module takes longer to import than all of this library."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return code is not None and code.co_flags & _CO_GENERATOR != 0


class _Mode:
    def __call__(self, function):
        if _makes_generator(function):

            @functools.wraps(function)
            def generator(*args, **kwargs):
                iterator = function(*args, **kwargs)
                while True:
                    with self.clone():
                        try:
                            item = next(iterator)
                        except StopIteration:
                            return
                    yield item

            return generator

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with self.clone():
                return function(*args, **kwargs)

        return wrapper

    def clone(self):
        return type(self)()

    def __exit__(self, *exception):
        lib.sn_set_grad_enabled(self._before)


class no_grad(_Mode):
    """Operations inside are not recorded. A context manager and a decorator."""

    def __new__(cls, function=None):
        self = object.__new__(cls)
        return self if function is None else self(function)

    def __enter__(self):
        self._before = lib.sn_is_grad_enabled()
        lib.sn_set_grad_enabled(0)


class enable_grad(_Mode):
    """Operations inside are recorded, also within `no_grad`. A context manager and a decorator."""

    def __new__(cls, function=None):
        self = object.__new__(cls)
        return self if function is None else self(function)

    def __enter__(self):
        self._before = lib.sn_is_grad_enabled()
        lib.sn_set_grad_enabled(1)


class set_grad_enabled(_Mode):
    """Turns recording on or off at once; as a context manager, until its end."""

    def __init__(self, mode):
        self.mode = bool(mode)
        self._before = lib.sn_is_grad_enabled()
        lib.sn_set_grad_enabled(self.mode)

    def __call__(self, function):
        lib.sn_set_grad_enabled(self._before)
        return super().__call__(function)

    def clone(self):
        return type(self)(self.mode)

    def __enter__(self):
        lib.sn_set_grad_enabled(self.mode)


class inference_mode(_Mode):
    """Operations inside are not recorded, and their results cannot take part in a graph later."""

    def __new__(cls, mode=True):
        self = object.__new__(cls)
        self.mode = True
        if callable(mode) and not isinstance(mode, bool):
            return self(mode)
        self.mode = bool(mode)
        return self

    def __init__(self, mode=True):
        pass

    def clone(self):
        return type(self)(self.mode)

    def __enter__(self):
        self._before = lib.sn_is_grad_enabled()
        self._inference = lib.sn_is_inference_mode()
        if self.mode:
            lib.sn_set_grad_enabled(0)
        lib.sn_set_inference_mode(self.mode)

    def __exit__(self, *exception):
        lib.sn_set_inference_mode(self._inference)
        lib.sn_set_grad_enabled(self._before)
