"""gradcheck and gradgradcheck, and second derivatives of operations."""

import pytest
import swiftnet
from autograd_parity import cube
from swiftnet.autograd import Function, gradcheck, gradgradcheck


def test_gradcheck():
    x = swiftnet.rand(2, 3, dtype=swiftnet.float64, requires_grad=True)
    y = swiftnet.rand(3, dtype=swiftnet.float64, requires_grad=True)
    assert gradcheck(lambda a, b: swiftnet.sin(a) * b, (x, y))
    assert gradgradcheck(lambda a, b: swiftnet.sin(a) * b, (x, y))
    assert gradcheck(lambda a: (a * 2, a.sum()), x.t())
    assert gradgradcheck(lambda a: cube(swiftnet).apply(a, 2.0), (x,))
    assert gradcheck(lambda a, n: a**n, (x, 3))

    class Wrong(Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 3

    with pytest.raises(
        swiftnet.autograd.GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"
    ):
        gradcheck(Wrong.apply, (x,))
    assert not gradcheck(Wrong.apply, (x,), raise_exception=False)
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(Wrong.apply, (x.detach(),))

    def failing(a):
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        gradcheck(failing, (x,))


CHECKED = {
    "prod": lambda a: a.prod(1),
    "cumprod": lambda a: a.cumprod(1),
    "logsumexp": lambda a: a.logsumexp(1),
    "logcumsumexp": lambda a: a.logcumsumexp(1),
    "norm": lambda a: a.norm(dim=1),
    "norm 3": lambda a: a.norm(3, 0),
    "var": lambda a: a.var(1),
    "std": lambda a: a.std(),
    "max": lambda a: a.max(1).values,
    "amax": lambda a: a.amax(1),
    "clamp": lambda a: a.clamp(0.2, 0.8),
    "matmul": lambda a: a @ a.t(),
    "einsum": lambda a: swiftnet.einsum("ij,kj->ik", a, a),
    "softmax": lambda a: swiftnet.special.softmax(a, 1),
    "cumsum": lambda a: a.cumsum(0),
    "lerp": lambda a: a.lerp(a * a, 0.3),
    "addcdiv": lambda a: a.addcdiv(a, a + 1),
    "inv": lambda a: swiftnet.linalg.inv(a @ a.t() + swiftnet.eye(2, dtype=a.dtype)),
    "det": lambda a: swiftnet.linalg.det(a @ a.t()),
    "cdist": lambda a: swiftnet.cdist(a, a * 2 + 1),
    "cholesky": lambda a: swiftnet.linalg.cholesky(a @ a.t() + swiftnet.eye(2, dtype=a.dtype)),
    "cosine": lambda a: swiftnet.cosine_similarity(a, a * a),
    "i0": lambda a: swiftnet.i0(a),
    "entr": lambda a: swiftnet.special.entr(a),
    "atan2": lambda a: swiftnet.atan2(a, a * a + 1),
    "pow": lambda a: a ** (a + 1),
    "lgamma": lambda a: swiftnet.lgamma(a + 1),
    "slice": lambda a: a[:, 1:] * a[:, :-1],
    "gather": lambda a: a.min(0).values,
    "where": lambda a: swiftnet.where(a > 0.5, a * a, a),
}


@pytest.mark.parametrize("name", CHECKED)
def test_derivatives_twice(name):
    x = swiftnet.tensor([[0.31, 0.72, 0.53], [0.94, 0.15, 0.66]], dtype=swiftnet.float64, requires_grad=True)
    assert gradcheck(CHECKED[name], (x,))
    assert gradgradcheck(CHECKED[name], (x,), atol=1e-4)
