"""Parts of a package that are imported when they are first asked for, through a module's `__getattr__` (PEP 562).

`import swiftnet` then reads what tensors need, and `swiftnet.optim.SGD` still works after it, as do `dir`,
`from swiftnet import *` and `from swiftnet.nn import Linear`.
"""

import sys

# True for editors and type checkers, which know it by its name and read the imports below it.
TYPE_CHECKING = False


def lazily(package, submodules, sources=()):
    """`__getattr__` and `__dir__` for a package.

    Args:
        package: its name.
        submodules: modules within it that nobody need import.
        sources: modules, by full name, whose public names are names of the package too.
    """
    namespace = sys.modules[package].__dict__

    def __getattr__(name):
        if name in submodules:
            return _imported(f"{package}.{name}")
        if name == "__all__":
            return [n for n in __dir__() if not n.startswith("_")]
        if not name.startswith("__"):
            for source in sources:
                module = _imported(source)
                if name in _public(module):
                    namespace[name] = getattr(module, name)
                    return namespace[name]
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    def __dir__():
        names = {*namespace, *submodules}
        for source in sources:
            names.update(_public(_imported(source)))
        return sorted(names)

    return __getattr__, __dir__


def _imported(name):
    __import__(name)
    return sys.modules[name]


def _public(module):
    """What `from module import *` brings, without the modules that it happens to import."""
    listed = module.__dict__.get("__all__")
    if listed is not None:
        return listed
    return [n for n, value in vars(module).items() if not n.startswith("_") and not isinstance(value, type(sys))]
