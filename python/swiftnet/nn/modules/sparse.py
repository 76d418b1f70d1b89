"""Tables looked up by index."""

from swiftnet._tensor import Parameter
from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["Embedding", "EmbeddingBag"]


class Embedding(BuiltIn):
    """Rows of a learnt table, by index.

    Args:
        num_embeddings, embedding_dim: rows and columns of the table.
        padding_idx: a row that is 0 at first and receives no gradient.
        max_norm: rows that are used and longer than this are shortened.
        norm_type: the norm for `max_norm`. Default: 2.
        scale_grad_by_freq: divide the gradient of a row by the number of its uses. Default: False.
        sparse: must be False: gradients are dense.

    Shape: (…) of integers to (…, embedding_dim).

    Attributes:
        weight: the table; drawn from N(0, 1).
    """

    _type = "Embedding"
    _not_settings = BuiltIn._not_settings | {"_weight", "_freeze"}

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False, _weight=None, _freeze=False, device=None, dtype=None,
    ):  # fmt: skip
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError("Padding_idx must be within num_embeddings")
        arguments = locals()
        del arguments["_weight"], arguments["_freeze"]
        self._build(arguments)
        if _weight is not None:
            if list(_weight.shape) != [num_embeddings, embedding_dim]:
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight)
        if _freeze:
            self.weight.requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False,
    ):  # fmt: skip
        """An embedding over a given table, by default not trained."""
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx=padding_idx, max_norm=max_norm, norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq, sparse=sparse, _weight=embeddings, _freeze=freeze,
        )  # fmt: skip

    def extra_repr(self):
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in [("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)]:
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text


class EmbeddingBag(BuiltIn):
    """Rows of a learnt table, taken together bag by bag, without making the rows one by one.

    Args:
        num_embeddings, embedding_dim: rows and columns of the table.
        max_norm: rows that are used and longer than this are shortened.
        norm_type: the norm for `max_norm`. Default: 2.
        scale_grad_by_freq: divide the gradient of a row by the number of its uses. Default: False.
        mode: "sum", "mean" or "max". Default: "mean".
        sparse: must be False: gradients are dense.
        include_last_offset: offsets has one more number, the end of the last bag. Default: False.
        padding_idx: an index that does not count.

    Shape: (B, n), or (n) with offsets (B), to (B, embedding_dim).

    Attributes:
        weight: the table; drawn from N(0, 1).
    """

    _type = "EmbeddingBag"
    _not_settings = BuiltIn._not_settings | {"_weight"}

    def __init__(
        self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
        sparse=False, _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None,
    ):  # fmt: skip
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError("padding_idx must be within num_embeddings")
        arguments = locals()
        del arguments["_weight"]
        self._build(arguments)
        if _weight is not None:
            if list(_weight.shape) != [num_embeddings, embedding_dim]:
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight)

    def forward(self, input, offsets=None, per_sample_weights=None):
        return forward_values(self._sn, (input, offsets, per_sample_weights))

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
        sparse=False, include_last_offset=False, padding_idx=None,
    ):  # fmt: skip
        """Bags over a given table, by default not trained."""
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        result = cls(
            rows, columns, max_norm=max_norm, norm_type=norm_type, scale_grad_by_freq=scale_grad_by_freq, mode=mode,
            sparse=sparse, _weight=embeddings, include_last_offset=include_last_offset, padding_idx=padding_idx,
        )  # fmt: skip
        result.weight.requires_grad_(not freeze)
        return result

    def extra_repr(self):
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in [("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)]:
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        text += f", mode={self.mode!r}"
        return text + (f", padding_idx={self.padding_idx}" if self.padding_idx is not None else "")
