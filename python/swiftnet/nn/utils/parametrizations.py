"""Parametrizations: weight norm, spectral norm, orthogonal matrices."""

from swiftnet._core import lib
from swiftnet._functions.indexing import unpack
from swiftnet._tensor import Tensor, wrap
from swiftnet.nn.modules.module import Module
from swiftnet.nn.utils import parametrize
from swiftnet.nn.utils.spectral_norm import divided, iterate, matrix_of, usual_dim
from swiftnet.nn.utils.weight_norm import norm_except_dim, normalized

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return normalized(weight_v, weight_g, self.dim)

    def right_inverse(self, weight):
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """Makes a weight g · v / ‖v‖ with parameters g and v (Salimans and Kingma, 2016, https://arxiv.org/abs/1602.07868).

    Args:
        module: the module, which is changed and returned.
        name: of the parameter; g and v are `parametrizations.name.original0` and `original1`.
        dim: the dimension whose positions have a length each; None: one length for all.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    _take_old_names(module, name)
    return module


def _take_old_names(module, name):
    """Lets state_dicts of the older `nn.utils.weight_norm` load."""

    def rename(state_dict, prefix, *rest):
        for old, new in (("_g", "0"), ("_v", "1")):
            key = f"{prefix}{name}{old}"
            if key in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.original{new}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)


class _SpectralNorm(Module):
    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        rank = weight.ndim
        if not -rank <= dim < rank:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps = dim % rank, eps
        if rank > 1:
            from swiftnet.nn.functional import normalize

            self.n_power_iterations = n_power_iterations
            matrix = matrix_of(weight.detach(), self.dim)
            rows, columns = matrix.shape
            u, v = matrix.new_empty(rows).normal_(0, 1), matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", normalize(v, dim=0, eps=eps))
            iterate(matrix, self._u, self._v, 15, eps, False)

    def forward(self, weight):
        if weight.ndim == 1:
            from swiftnet.nn.functional import normalize

            return normalize(weight, dim=0, eps=self.eps)
        if self.training:
            iterate(matrix_of(weight.detach(), self.dim), self._u, self._v, self.n_power_iterations, self.eps, False)
        # Backward needs the vectors of now, also after the next forward.
        return divided(weight, self._u.clone(), self._v.clone(), self.dim)

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divides a weight by its largest singular value (Miyato et al., 2018, https://arxiv.org/abs/1802.05957).

    Args:
        module: the module, which is changed and returned.
        name: of the parameter.
        n_power_iterations: steps of the power method each time the weight is used in training.
        eps: the least norm that is divided by.
        dim: of the outputs; default: 1 for transposed convolutions, otherwise 0.
    """
    weight = _tensor(module, name)
    dim = usual_dim(module) if dim is None else dim
    parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


def _tensor(module, name):
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


def _geqrf(matrix):
    return unpack(lib.sn_geqrf(matrix._h))


def _product(reflections, factors):
    return wrap(lib.sn_householder_product(reflections._h, factors._h))


def _signs(matrix):
    return matrix.diagonal(0, -2, -1).sign().unsqueeze(-2)


def _nearest_factor(matrix):
    """The orthogonal factor of a QR factorisation with a positive diagonal of R."""
    reflections, factors = _geqrf(matrix)
    return _product(reflections, factors) * _signs(reflections)


class _Orthogonal(Module):
    def __init__(self, weight, orthogonal_map, use_trivialization=True):
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        import swiftnet

        n, k = X.shape[-2:]
        is_wide = n < k
        if is_wide:
            X, n, k = X.mT, k, n
        if self.orthogonal_map == "householder":
            reflections = X.tril(-1)
            factors = 2.0 / (1.0 + (reflections * reflections).sum(-2))
            Q = _product(reflections, factors) * _signs(X)
        else:
            X = X.tril()
            if n != k:
                X = swiftnet.cat([X, X.new_zeros(*X.shape[:-1], n - k)], -1)
            A = X - X.mT
            if self.orthogonal_map == "matrix_exp":
                Q = wrap(lib.sn_matrix_exp(A._h))
            else:
                identity = swiftnet.eye(n, dtype=A.dtype)
                Q = swiftnet.linalg.solve(identity - 0.5 * A, identity + 0.5 * A)
            if n != k:
                Q = Q[..., :k]
        if getattr(self, "base", None) is not None:
            Q = self.base @ Q
        return Q.mT if is_wide else Q

    def right_inverse(self, Q):
        import swiftnet

        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        given = Q
        n, k = Q.shape[-2:]
        is_wide = n < k
        if is_wide:
            Q, n, k = Q.mT, k, n
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            A, factors = _geqrf(Q)
            A.diagonal(0, -2, -1).sign_()
            # A reflection with factor 0 does nothing, but counts as a change of sign in forward.
            A.diagonal(0, -2, -1)[factors == 0.0] *= -1
            return A.mT if is_wide else A
        if n == k:
            Q = Q.clone() if _is_orthogonal(Q) else _nearest_factor(Q)
        else:
            rest = swiftnet.randn(*Q.shape[:-1], n - k, dtype=Q.dtype)
            Q = _nearest_factor(swiftnet.cat([Q, rest], -1))
        self.base = Q
        start = swiftnet.zeros_like(given)
        start.diagonal(0, -2, -1).fill_(-1.0)
        return start


def _is_orthogonal(Q):
    import swiftnet

    n, k = Q.shape[-2:]
    eps = 10.0 * n * swiftnet.finfo(Q.dtype).eps
    return swiftnet.allclose(Q.mT @ Q, swiftnet.eye(k, dtype=Q.dtype), atol=eps)


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Makes a matrix (or stack of matrices) orthogonal: QᵀQ = I, or QQᵀ = I for a wide one.

    Args:
        module: the module, which is changed and returned.
        name: of the parameter.
        orthogonal_map: how it is computed: "matrix_exp", "cayley" or "householder". Default: "matrix_exp" for square
            matrices, otherwise "householder".
        use_trivialization: relative to an orthogonal matrix that is kept beside (Lezcano-Casado, 2019,
            https://arxiv.org/abs/1909.09501); the present weight becomes the start, made orthogonal.
    """
    weight = _tensor(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    map_ = _Orthogonal(weight, orthogonal_map, use_trivialization)
    parametrize.register_parametrization(module, name, map_, unsafe=True)
    return module
