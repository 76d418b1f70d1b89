"""A table of a network: layers, shapes, parameters, operations, memory."""

import math

import swiftnet
from swiftnet._tensor import Tensor

__all__ = ["summary"]


class LayerSummary:
    """One module of a network as `summary` saw it.

    Attributes:
        name, kind: the dotted name and the class.
        depth: 0 for the network itself.
        input_shape, output_shape: of the first tensors in and out.
        parameters: how many of its own, without its children's.
        operations: multiplications and additions of one call, without its children's.
        output_bytes: memory of the results, if it has no children.
    """

    def __init__(self, name, module, depth):
        self.name, self.kind, self.depth = name, type(module).__name__, depth
        self.input_shape = self.output_shape = None
        self.parameters = sum(p.numel() for p in module.parameters(recurse=False))
        self.operations = self.output_bytes = self.calls = 0


class Summary:
    """What `summary` found; as text, a table.

    Attributes:
        layers: a `LayerSummary` for each module.
        total_params, trainable_params: numbers of parameters.
        total_flops: multiplications and additions of a forward pass.
        total_mult_adds: pairs of a multiplication and an addition in convolutions and affine maps.
        input_bytes, forward_backward_bytes, param_bytes: memory of the inputs, of all layers' results and their
            gradients, of the parameters.
    """

    def __init__(self, layers, model, inputs, mult_adds, depth):
        self.layers, self._depth = layers, depth
        parameters = list(model.parameters())
        self.total_params = sum(p.numel() for p in parameters)
        self.trainable_params = sum(p.numel() for p in parameters if p.requires_grad)
        self.total_flops = sum(layer.operations for layer in layers)
        self.total_mult_adds = mult_adds
        self.input_bytes = sum(t.numel() * t.element_size() for t in inputs)
        self.forward_backward_bytes = 2 * sum(layer.output_bytes for layer in layers)
        self.param_bytes = sum(p.numel() * p.element_size() for p in parameters)

    def __str__(self):
        rows = [("Layer", "Output shape", "Parameters", "Operations")]
        for layer in self.layers:
            if layer.depth > self._depth:
                continue
            title = "  " * layer.depth + f"{layer.kind}" + (f": {layer.name}" if layer.name else "")
            shape = "not run" if layer.output_shape is None else str(list(layer.output_shape))
            numbers = (f"{n:,}" if n else "--" for n in (layer.parameters, layer.operations))
            rows.append((title, shape, *numbers))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        line = "=" * (sum(widths) + 6)
        text = [line]
        for index, (title, shape, *numbers) in enumerate(rows):
            cells = [title.ljust(widths[0]), shape.ljust(widths[1])]
            cells += [number.rjust(width) for number, width in zip(numbers, widths[2:], strict=True)]
            text.append("  ".join(cells).rstrip())
            if index == 0:
                text.append(line)
        mega = [n / 2**20 for n in (self.input_bytes, self.forward_backward_bytes, self.param_bytes)]
        text += [
            line,
            f"Total params: {self.total_params:,}",
            f"Trainable params: {self.trainable_params:,}",
            f"Non-trainable params: {self.total_params - self.trainable_params:,}",
            f"Total mult-adds: {self.total_mult_adds:,}",
            f"Total operations: {self.total_flops:,}",
            f"Input size (MB): {mega[0]:.2f}",
            f"Forward/backward pass size (MB): {mega[1]:.2f}",
            f"Params size (MB): {mega[2]:.2f}",
            f"Estimated total size (MB): {sum(mega):.2f}",
            line,
        ]
        return "\n".join(text)

    __repr__ = __str__


def _tensors(value):
    if isinstance(value, Tensor):
        return [value]
    if hasattr(value, "values"):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [t for item in value for t in _tensors(item)]


def _operations(module, inputs, outputs):
    """(multiplications and additions, pairs of them) of a module without children."""
    if not inputs or not outputs:
        return 0, 0
    count = sum(t.numel() for t in outputs)
    weight = module._parameters.get("weight")
    kind = type(module).__name__
    if weight is not None and kind.startswith("ConvTranspose"):
        pairs = inputs[0].numel() * math.prod(weight.shape[1:])
    elif weight is not None and kind.startswith(("Conv", "LazyConv")):
        pairs = count * math.prod(weight.shape[1:])
    elif weight is not None and kind in ("Linear", "LazyLinear", "group_divided_linear"):
        pairs = count * (weight.shape[1])
    elif weight is not None and kind == "Bilinear":
        pairs = count * math.prod(weight.shape[1:])
    elif weight is not None and kind == "Parallel_GroupLinear":
        pairs = count * weight.shape[0]
    else:
        # Normalisations scale and shift, activations and poolings do something once per element.
        size = getattr(module, "kernel_size", None) if "Pool" in kind and "Adaptive" not in kind else None
        if size is not None:
            window = math.prod(size) if isinstance(size, (tuple, list)) else size ** (outputs[0].dim() - 2)
            return count * window, 0
        if "Adaptive" in kind:
            return inputs[0].numel(), 0
        if "Norm" in kind:
            return 2 * count, 0
        return (0 if kind in ("Identity", "Flatten", "Unflatten") or "Dropout" in kind else count), 0
    bias = count if module._parameters.get("bias") is not None else 0
    return 2 * pairs + bias, pairs


def summary(model, input_size=None, *, input_data=None, dtype=None, depth=3):
    """Runs a network once and tells its layers' shapes, parameters and operations, and the memory that training takes.

    Args:
        model: any module.
        input_size: the shape of the input with the batch, or a list of shapes for several inputs.
        input_data: the input itself, or a tuple or list of several, instead of `input_size`.
        dtype: of inputs made from `input_size`. Default: the parameters'.
        depth: children of children … to show in the text. Default: 3.

    The model runs in evaluation mode and is left as it was. Operations are those of convolutions, affine maps,
    normalisations, activations and poolings; functions that a `forward` calls itself are not seen.

    >>> swiftnet.summary(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), (1, 4)).total_params
    40
    """
    if (input_size is None) == (input_data is None):
        raise TypeError("summary() needs either input_size or input_data")
    if input_data is not None:
        inputs = list(input_data) if isinstance(input_data, (tuple, list)) else [input_data]
    else:
        shapes = input_size if hasattr(input_size[0], "__len__") else [input_size]
        if dtype is None:
            dtype = next((p.dtype for p in model.parameters()), swiftnet.get_default_dtype())
        inputs = [swiftnet.zeros(tuple(shape), dtype=dtype) for shape in shapes]
    layers, handles, total_pairs = {}, [], 0

    def hook(module, args, output):
        nonlocal total_pairs
        layer = layers[module]
        tensors_in, tensors_out = _tensors(args), _tensors(output)
        layer.calls += 1
        if layer.calls == 1:
            layer.input_shape = tuple(tensors_in[0].shape) if tensors_in else None
            layer.output_shape = tuple(tensors_out[0].shape) if tensors_out else ()
        if not any(child is not None for child in module._modules.values()):
            operations, pairs = _operations(module, tensors_in, tensors_out)
            layer.operations += operations
            total_pairs += pairs
            layer.output_bytes += sum(t.numel() * t.element_size() for t in tensors_out)

    modes = [(module, module.training) for module in model.modules()]
    for name, module in model.named_modules():
        layers[module] = LayerSummary(name, module, name.count(".") + 1 if name else 0)
        handles.append(module.register_forward_hook(hook))
    model.eval()
    try:
        with swiftnet.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    return Summary(list(layers.values()), model, _tensors(inputs), total_pairs, depth)
