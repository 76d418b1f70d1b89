"""L-BFGS."""

from swiftnet import _core
from swiftnet._core import check, ffi, lib
from swiftnet.autograd.grad_mode import enable_grad
from swiftnet.optim.builtin import BuiltInOptimizer, ParameterState

__all__ = ["LBFGS"]

_INTEGERS = ("func_evals", "n_iter")
_FLOATS = ("t", "H_diag", "prev_loss")
_TENSORS = ("d", "prev_flat_grad")


@ffi.def_extern()
def swiftnet_closure(context, loss):
    """What the library calls."""
    try:
        loss[0] = float(ffi.from_handle(context)())
        return 0
    except BaseException as error:
        _core.keep_exception(error)
        return 1


class LBFGS(BuiltInOptimizer):
    """Limited-memory BFGS (Liu and Nocedal, 1989, https://doi.org/10.1007/BF01589116). One parameter group only; its
    step needs a closure, which is evaluated several times.

    Args:
        params: parameters.
        lr: step size, with a line search where it begins. Default: 1.
        max_iter: iterations of a step. Default: 20.
        max_eval: evaluations of a step. Default: max_iter · 1.25.
        tolerance_grad: ends when no gradient is greater. Default: 1e-7.
        tolerance_change: ends when loss or parameters change less. Default: 1e-9.
        history_size: moves that are remembered. Default: 100.
        line_search_fn: "strong_wolfe" or None. Default: None.
    """

    _type = "LBFGS"
    _options = (
        "lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn",
    )  # fmt: skip
    _state = ("func_evals", "n_iter", "d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
        line_search_fn=None,
    ):  # fmt: skip
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(
            params,
            {
                "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn,
            },
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def _values(self, group):
        values = super()._values(group)
        values[-1] = values[-1] is not None
        return values

    def _parameter_state(self, parameter):
        return _LBFGSState(self, parameter)

    def step(self, closure):
        """Runs up to max_iter iterations.

        Args:
            closure: takes the gradients away, computes loss and gradients anew, and returns the loss.

        Returns:
            The loss of the first evaluation.
        """
        if self.param_groups[0]["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        losses = []

        def evaluate():
            with enable_grad():
                loss = closure()
            if not losses:
                losses.append(loss)
            return loss

        self._tell()
        context = ffi.new_handle(evaluate)
        check(lib.sn_optimizer_step_closure(self._h, lib.swiftnet_closure, context))
        return losses[0]


class _LBFGSState(ParameterState):
    """Numbers, tensors and lists; PyTorch's names for them."""

    __slots__ = ()

    def __getitem__(self, name):
        if name in _INTEGERS or name in _FLOATS:
            value = self._read_number(name)
            if value is not None:
                return int(value) if name in _INTEGERS else value
        elif name in _TENSORS:
            value = self._read_tensor(name)
            if value is not None:
                return value
        elif name in ("old_dirs", "old_stps", "ro") and self._read_number("n_iter"):
            read = self._read_number if name == "ro" else self._read_tensor
            items = []
            while (item := read(f"{name}.{len(items)}")) is not None:
                items.append(item)
            return items
        raise KeyError(name)

    def __setitem__(self, name, value):
        if name in _INTEGERS or name in _FLOATS:
            self._write_number(name, value)
        elif name in _TENSORS:
            self._write_tensor(name, value)
        elif name in ("old_dirs", "old_stps", "ro"):
            write = self._write_number if name == "ro" else self._write_tensor
            position = 0
            for position, item in enumerate(value or [], 1):
                write(f"{name}.{position - 1}", item)
            write(f"{name}.{position}", None)
        elif name != "al":
            # PyTorch keeps a scratch list under "al".
            raise KeyError(f"LBFGS keeps no '{name}'")
