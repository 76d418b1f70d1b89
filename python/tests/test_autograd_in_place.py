"""Changes in place: gradients through views and their bases, and the mistakes that are refused."""

import pytest
import swiftnet
from autograd_parity import both, leaf
from parity import raises_alike


def assigned_row(m):
    x, y = leaf(m, 3, 4), leaf(m, 4)
    z = x * 2
    z[1] = y * 3
    (z * z).sum().backward()
    return x.grad, y.grad


def scaled_slice(m):
    x = leaf(m, 4, 4)
    z = x * 1
    z[1:3, ::2] *= 3
    (z * z).sum().backward()
    return (x.grad,)


def added_to_chained_view(m):
    x, y = leaf(m, 4, 4), leaf(m, 2)
    z = x * 1
    z[:, 1:][2][:2] += y
    (z**3).sum().backward()
    return x.grad, y.grad


def changed_base_read_by_view(m):
    x = leaf(m, 3, 3)
    z = x * 1
    view = z[1]
    z *= 2
    (view * view).sum().backward()
    return x.grad, view


def changed_view_read_by_base(m):
    x = leaf(m, 3, 3)
    z = x * 1
    view = z.t()[0]
    view.mul_(5)
    (z * z).sum().backward()
    return x.grad, z


def two_views(m):
    x = leaf(m, 6)
    z = x * 1
    a, b = z[:4], z[2:]
    a *= 2
    b += 1
    (a * a).sum().backward(retain_graph=True)
    (b * z[0]).sum().backward()
    return x.grad, a, b


def into_zeros(m):
    x = leaf(m, 2, 3)
    canvas = m.zeros(4, 3, dtype=m.float64)
    canvas[1:3] = x * x
    canvas[0] = 7.0
    (canvas * canvas).sum().backward()
    return x.grad, canvas


def detached(m):
    x = leaf(m, 3)
    y = x * 2
    z = y.detach() * y
    z.sum().backward()
    return (x.grad,)


def under_no_grad(m):
    x = leaf(m, 3)
    with m.no_grad():
        x.add_(1)
        x[0] = 9.0
        y = x * 2
    (x * y).sum().backward()
    return x.grad, x, int(y.requires_grad)


def copied_and_filled(m):
    x, y = leaf(m, 3), leaf(m, 3)
    z = x * 1
    z.copy_(y * 2)
    z[0].fill_(4.0)
    z.mul_(3)
    z.sum().backward()
    return x.grad, y.grad


def view_in_no_grad_then_changed(m):
    x = leaf(m, 4)
    z = x * 2
    z.view(2, 2)[0].zero_()
    (z + 1).prod().backward()
    return (x.grad,)


def diagonal_changed(m):
    x = leaf(m, 3, 3)
    z = x * 1
    z.diagonal().add_(x[0])
    (z * z).sum().backward()
    return (x.grad,)


def unfolded_read(m):
    x = leaf(m, 6)
    (x.unfold(0, 3, 1) ** 2).sum().backward()
    return (x.grad,)


def strided_read(m):
    x = leaf(m, 6)
    (m.as_strided(x, (3, 3), (1, 1)) ** 2).sum().backward()
    return (x.grad,)


def expanded_written_by_out_of_place(m):
    x = leaf(m, 1, 3)
    y = x.expand(4, 3) * leaf(m, 4, 3).detach()
    y.sum().backward()
    return (x.grad,)


def in_place_activations(m):
    x = leaf(m, 5)
    z = (x - 1) * 1
    z.mul_(2).add_(1).sigmoid_()
    z.sum().backward()
    return x.grad, z


def zero_of_slice(m):
    x = leaf(m, 4, 4)
    z = x.clone()
    z[:, 0].zero_()
    z[0, :] = z[1, :] * 2
    (z * z).sum().backward()
    return (x.grad,)


SCENARIOS = [
    assigned_row,
    scaled_slice,
    added_to_chained_view,
    changed_base_read_by_view,
    changed_view_read_by_base,
    two_views,
    into_zeros,
    detached,
    under_no_grad,
    copied_and_filled,
    view_in_no_grad_then_changed,
    diagonal_changed,
    unfolded_read,
    strided_read,
    expanded_written_by_out_of_place,
    in_place_activations,
    zero_of_slice,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__)
def test_in_place(scenario):
    both(scenario)


def modified_input(m):
    x = leaf(m, 3)
    y = x * 1
    z = y * y
    y.add_(1)
    z.sum().backward()


def modified_output(m):
    x = leaf(m, 3)
    y = m.exp(x)
    y.add_(1)
    y.sum().backward()


def modified_through_view(m):
    x = leaf(m, 3)
    y = x * 1
    z = y**3
    y[0] = 1.0
    z.sum().backward()


def modified_leaf(m):
    leaf(m, 3).add_(1)


def modified_view_of_leaf(m):
    leaf(m, 3)[0] = 1.0


def backward_twice(m):
    y = (leaf(m, 3) ** 2).sum()
    y.backward()
    y.backward()


def backward_of_vector(m):
    (leaf(m, 3) * 2).backward()


def backward_without_graph(m):
    m.ones(1).backward()


def unused_input(m):
    m.autograd.grad((leaf(m, 2) * 2).sum(), leaf(m, 3))


def wrong_gradient_shape(m):
    (leaf(m, 3) * 2).backward(m.ones(2))


def gradient_for_integers(m):
    m.ones(2, dtype=m.int64).requires_grad_()


def numpy_of_gradient(m):
    leaf(m, 2).numpy()


def change_flag_of_result(m):
    (leaf(m, 2) * 2).requires_grad_(False)


def expanded_written(m):
    m.zeros(3, 1).expand(3, 4).add_(1)


def expanded_copied_into(m):
    m.zeros(3, 1).expand(3, 4)[1:].copy_(m.ones(2, 4))


def expanded_drawn(m):
    m.zeros(3, 1).expand(3, 4).t().normal_()


def grad_of_wrong_shape(m):
    leaf(m, 2).grad = m.ones(3, dtype=m.float64)


@pytest.mark.parametrize(
    "mistake",
    [
        modified_input,
        modified_output,
        modified_through_view,
        modified_leaf,
        modified_view_of_leaf,
        backward_twice,
        backward_of_vector,
        backward_without_graph,
        unused_input,
        wrong_gradient_shape,
        gradient_for_integers,
        numpy_of_gradient,
        change_flag_of_result,
        grad_of_wrong_shape,
        expanded_written,
        expanded_copied_into,
        expanded_drawn,
    ],
    ids=lambda f: f.__name__,
)
def test_mistakes(mistake):
    messages = raises_alike(mistake)
    for word in (
        "inplace operation",
        "leaf Variable",
        "a second time",
        "scalar outputs",
        "floating point",
        "memory location",
    ):
        assert (word in messages[0]) == (word in messages[1]), messages


def test_the_same_into_all_of_an_expanded_tensor():
    base = swiftnet.zeros(3, 1)
    base.expand(3, 4).fill_(2)
    base.expand(3, 4)[1:].masked_fill_(swiftnet.ones(2, 4) > 0, 5.0)
    assert base.tolist() == [[2.0], [5.0], [5.0]]
