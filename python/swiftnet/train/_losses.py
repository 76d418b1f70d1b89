"""From outputs and targets to one number, and who is to blame if it is none."""

import math

import swiftnet
from swiftnet._tensor import Tensor


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or not a number."""


class Losses:
    """One loss or several, weighted and added.

    Args:
        losses: a function of (output, target); or a dictionary from names to functions or to (function, weight); or a
            list of those.

    With several outputs (a tuple, list or dictionary) each loss takes its own, in order or by name, and its own target
    if there are several too, otherwise the one target: so an auxiliary output learns from the same labels. With one
    output all losses take it.

    >>> losses = Losses({"main": nn.CrossEntropyLoss(), "aux": (nn.CrossEntropyLoss(), 0.4)})
    """

    def __init__(self, losses):
        if callable(losses):
            losses = {"loss": losses}
        elif not hasattr(losses, "items"):
            losses = {f"loss{index}": loss for index, loss in enumerate(losses)}
        self.parts = {}
        for name, part in losses.items():
            function, weight = part if isinstance(part, (tuple, list)) else (part, 1.0)
            if not callable(function):
                raise TypeError(f"the loss '{name}' must be a function or (function, weight), not {part!r}")
            self.parts[name] = (function, float(weight))
        if not self.parts:
            raise ValueError("there is no loss")

    def _own(self, values, what):
        """The values by name of loss."""
        if hasattr(values, "items"):
            missing = [name for name in self.parts if name not in values]
            if missing:
                raise ValueError(f"there is no {what} for the loss '{missing[0]}', only for {', '.join(values)}")
            return {name: values[name] for name in self.parts}
        if isinstance(values, (tuple, list)):
            if len(values) != len(self.parts):
                raise ValueError(f"{len(values)} {what}s do not fit {len(self.parts)} losses: {', '.join(self.parts)}")
            return dict(zip(self.parts, values, strict=True))
        return dict.fromkeys(self.parts, values)

    def __call__(self, output, target):
        """The weighted sum, and the losses by name without their weights."""
        if len(self.parts) == 1:
            ((name, (function, weight)),) = self.parts.items()
            loss = function(output, target)
            return (loss if weight == 1 else weight * loss), {name: loss}
        outputs, targets = self._own(output, "output"), self._own(target, "target")
        single = {name: function(outputs[name], targets[name]) for name, (function, _) in self.parts.items()}
        total = None
        for name, (_, weight) in self.parts.items():
            term = weight * single[name]
            total = term if total is None else total + term
        return total, single


def _tensors(value):
    if isinstance(value, Tensor):
        yield value
    elif hasattr(value, "values"):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _finite(value):
    return all(bool(swiftnet.isfinite(t).all()) for t in _tensors(value) if t.is_floating_point())


def blame(model, run, loss):
    """An error that names the first module that gave something infinite or not a number.

    Args:
        run: repeats the forward pass.
    """
    value = loss.item()
    text = f"the loss is {'not a number' if math.isnan(value) else value}"
    for name, parameter in model.named_parameters():
        if not _finite(parameter):
            return NonFiniteLossError(f"{text}: the parameter '{name}' is not finite; a smaller learning rate may help")
    found, handles = [], []

    def watch(name):
        def hook(module, args, output):
            if not found and not _finite(output):
                where = f"'{name}' ({type(module).__name__})" if name else type(module).__name__
                found.append(f"{where}{' from input that was not finite' if not _finite(args) else ''}")

        return hook

    # Children are done before their parents: the first one found is the innermost.
    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(watch(name)))
    try:
        with swiftnet.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return NonFiniteLossError(f"{text}: the first module with such a result is {found[0]}")
    return NonFiniteLossError(f"{text}: all modules gave finite results, so it is the loss itself")
