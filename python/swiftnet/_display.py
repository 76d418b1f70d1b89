"""How tensors and modules look in a notebook."""

# Rows and columns of a table that are shown at each end.
_EDGE = 5


def escape(text):
    """Text for HTML; the standard library's function would bring in all named characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(size):
    """Indices to show out of so many; None for what is left out."""
    if size <= 2 * _EDGE + 1:
        return list(range(size))
    return [*range(_EDGE), None, *range(size - _EDGE, size)]


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tensor_html(tensor):
    """A table of a tensor with one or two dimensions, its text otherwise; shape and dtype below."""
    facts = f"{tuple(tensor.shape)}, {str(tensor.dtype).partition('.')[2]}"
    if tensor.requires_grad:
        facts += ", requires grad"
    if tensor.dim() not in (1, 2) or 0 in tensor.shape:
        return f"<pre>{escape(repr(tensor))}</pre><small>{facts}</small>"
    matrix = tensor.detach() if tensor.dim() == 2 else tensor.detach().unsqueeze(0)
    rows, columns = (_shown(size) for size in matrix.shape)
    lines = []
    for row in rows:
        cells = []
        for column in columns:
            hidden = row is None or column is None
            cells.append(f"<td>{'…' if hidden else _cell(matrix[row, column].item())}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table><small>{facts}</small>"


def module_html(module, name=""):
    """A module as a tree whose branches open and close, with the number of parameters of each."""
    title = f"{name}: " if name else ""
    count = sum(p.numel() for p in module.parameters())
    note = f" <small>{count:,} parameters</small>" if count else ""
    children = [(key, child) for key, child in module._modules.items() if child is not None]
    if not children:
        return f"<div>{escape(title)}<code>{escape(repr(module))}</code>{note}</div>"
    inner = "".join(module_html(child, key) for key, child in children)
    opened = "" if name else " open"
    head = f"<summary>{escape(title)}<b>{escape(module._get_name())}</b>{note}</summary>"
    return f"<details{opened}>{head}<div style='margin-left: 1.5em'>{inner}</div></details>"
