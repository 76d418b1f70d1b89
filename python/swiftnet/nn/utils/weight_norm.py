"""Weights as length times direction, by a hook: the older way. See `parametrizations.weight_norm`."""

import warnings

from swiftnet._core import lib
from swiftnet._tensor import Parameter, wrap

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]


def norm_except_dim(v, pow=2, dim=0):
    """The 2-norms of a tensor over all dimensions but one; -1: over all."""
    if pow != 2:
        raise NotImplementedError("norm_except_dim: only 2-norms are there")
    return wrap(lib.sn_norm_except(v._h, dim != -1, dim))


def normalized(v, g, dim):
    """g · v / ‖v‖, with norms over all dimensions but one; -1: over all."""
    return wrap(lib.sn_weight_norm(v._h, g._h, dim != -1, dim))


class WeightNorm:
    """The hook that computes the weight before each forward."""

    def __init__(self, name, dim):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module):
        """The weight from its direction and length."""
        return normalized(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    @staticmethod
    def apply(module, name, dim):
        """Puts the hook on a module, and two parameters in the place of one."""
        warnings.warn(
            "`swiftnet.nn.utils.weight_norm` is deprecated in favor of "
            "`swiftnet.nn.utils.parametrizations.weight_norm`.",
            FutureWarning,
            stacklevel=3,
        )
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        del module._parameters[name]
        module.register_parameter(name + "_g", Parameter(norm_except_dim(weight, 2, hook.dim).data))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module):
        """Makes the weight one parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"], module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module, name="weight", dim=0):
    """Makes a weight g · v / ‖v‖ with parameters g and v (Salimans and Kingma, 2016, https://arxiv.org/abs/1602.07868).

    Args:
        module: the module, which is changed and returned.
        name: of the parameter; its length and direction become `name_g` and `name_v`.
        dim: the dimension whose positions have a length each; None: one length for all.
    """
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module, name="weight"):
    """Undoes `weight_norm`: the weight keeps its present value."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
