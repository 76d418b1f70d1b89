"""Weights divided by their largest singular value, by a hook: the older way. See `parametrizations.spectral_norm`."""

from swiftnet._core import check, lib
from swiftnet._tensor import Parameter, wrap

__all__ = ["SpectralNorm", "remove_spectral_norm", "spectral_norm"]


def matrix_of(weight, dim):
    """One dimension's positions by all others."""
    return wrap(lib.sn_flattened_matrix(weight._h, dim))


def iterate(matrix, u, v, steps, eps, starts_with_v):
    """Steps of the power method; changes u and v."""
    check(lib.sn_iterate_power(matrix._h, u._h, v._h, steps, eps, starts_with_v))


def divided(weight, u, v, dim):
    """The weight divided by uᵀ · W · v."""
    return wrap(lib.sn_spectral_norm(weight._h, u._h, v._h, dim))


def usual_dim(module):
    """The dimension of the outputs: 1 for transposed convolutions, otherwise 0."""
    return 1 if getattr(module, "transposed", False) else 0


class SpectralNorm:
    """The hook that computes the weight before each forward; in training it refines the singular vectors first."""

    _version = 1

    def __init__(self, name="weight", n_power_iterations=1, dim=0, eps=1e-12):
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name, self.dim, self.n_power_iterations, self.eps = name, dim, n_power_iterations, eps

    def reshape_weight_to_matrix(self, weight):
        """The weight as the matrix whose singular value is taken."""
        return matrix_of(weight, self.dim)

    def compute_weight(self, module, do_power_iteration):
        """The weight from the original one, after steps of the power method if asked for."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        if do_power_iteration:
            iterate(self.reshape_weight_to_matrix(weight).detach(), u, v, self.n_power_iterations, self.eps, True)
            # Backward needs the vectors of now, also after the next forward.
            u, v = u.clone(), v.clone()
        return divided(weight, u, v, self.dim)

    @staticmethod
    def apply(module, name, n_power_iterations, dim, eps):
        """Puts the hook on a module."""
        from swiftnet.nn.functional import normalize

        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
        hook = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        rows, columns = hook.reshape_weight_to_matrix(weight.detach()).shape
        u = normalize(weight.detach().new_empty(rows).normal_(0, 1), dim=0, eps=eps)
        v = normalize(weight.detach().new_empty(columns).normal_(0, 1), dim=0, eps=eps)
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        setattr(module, name, weight.data)
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module):
        """Makes the weight one parameter again."""
        weight = self.compute_weight(module, False).detach()
        delattr(module, self.name)
        for name in ("_u", "_v", "_orig"):
            delattr(module, self.name + name)
        module.register_parameter(self.name, Parameter(weight))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divides a weight by its largest singular value (Miyato et al., 2018, https://arxiv.org/abs/1802.05957).

    Args:
        module: the module, which is changed and returned.
        name: of the parameter; the original becomes `name_orig`, the singular vectors are buffers `name_u`, `name_v`.
        n_power_iterations: steps of the power method for each forward in training.
        eps: the least norm that is divided by.
        dim: of the outputs; default: 1 for transposed convolutions, otherwise 0.
    """
    SpectralNorm.apply(module, name, n_power_iterations, usual_dim(module) if dim is None else dim, eps)
    return module


def remove_spectral_norm(module, name="weight"):
    """Undoes `spectral_norm`: the weight keeps its present value."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")
