"""Softmax over very many classes."""

from collections import namedtuple

from swiftnet.nn import functional as F
from swiftnet.nn.modules.container import ModuleList, Sequential
from swiftnet.nn.modules.linear import Linear
from swiftnet.nn.modules.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_Result = namedtuple("ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Softmax over classes sorted by frequency: frequent ones at once, rare ones in clusters with fewer features (Grave
    et al., 2017, https://arxiv.org/abs/1609.04309).

    Args:
        in_features: of the input.
        n_classes: number of classes.
        cutoffs: where the clusters begin, ascending; classes below the first are the frequent ones.
        div_value: cluster i has in_features / div_valueⁱ⁺¹ features. Default: 4.
        head_bias: whether the frequent classes have a bias. Default: False.

    Shape: (N, in_features) or (in_features), and classes (N) or (); the result has `output`, the logarithms of the
    targets' probabilities, and `loss`, their negative mean.

    Attributes:
        head: of the frequent classes and one output for each cluster.
        tail: of the clusters.
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(cutoffs) or min(cutoffs) <= 0 or max(cutoffs) > n_classes - 1
            or len(set(cutoffs)) != len(cutoffs) or any(int(c) != c for c in cutoffs)
        ):  # fmt: skip
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                "value is between 1 and n_classes-1"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        kind = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, head_bias, **kind)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(Linear(in_features, hidden, False, **kind), Linear(hidden, size, False, **kind))
            )

    def reset_parameters(self):
        """Draws the parameters anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_, target_):
        import swiftnet

        if target_.dim() > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target_.dim() == 1 and input_.shape[0] != target_.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input_.dim() != target_.dim() + 1:
            raise RuntimeError(
                f"{target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, but found inputs with "
                f"size {input_.size()}"
            )
        single = target_.dim() == 0
        x, target = (input_.unsqueeze(0), target_.unsqueeze(0)) if single else (input_, target_)
        if target.numel() and not 0 <= int(target.min()) <= int(target.max()) < self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{int(target.min())}, "
                f"{int(target.max())}] were found. "
            )
        # What the head gives: a frequent class, or the output of the cluster.
        place = target.clone()
        found = x.new_zeros(target.shape[0])
        for i in range(self.n_clusters):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            rows = ((target >= low) & (target < high)).nonzero().reshape(-1)
            if rows.numel() == 0:
                continue
            place.index_fill_(0, rows, self.shortlist_size + i)
            logs = F.log_softmax(self.tail[i](x.index_select(0, rows)), 1)
            own = logs.gather(1, (target.index_select(0, rows) - low).unsqueeze(1)).squeeze(1)
            found = swiftnet.index_add(found, 0, rows, own)
        found = found + F.log_softmax(self.head(x), 1).gather(1, place.unsqueeze(1)).squeeze(1)
        return _Result(found.squeeze(0) if single else found, -found.mean())

    def log_prob(self, input):
        """The logarithms of the probabilities of all classes, (N, n_classes)."""
        import swiftnet

        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            column = self.shortlist_size + i
            parts.append(F.log_softmax(cluster(input), 1) + head[:, column : column + 1])
        return swiftnet.cat(parts, 1)

    def predict(self, input):
        """The most probable class of each sample, (N)."""
        return self.log_prob(input).argmax(1)
