"""Functions of neural networks, with the names and arguments of `torch.nn.functional`."""

from swiftnet.nn.functional._activations import (
    bilinear, celu, celu_, elu, elu_, gelu, glu, gumbel_softmax, hardshrink, hardsigmoid, hardswish, hardtanh,
    hardtanh_, leaky_relu, leaky_relu_, linear, log_softmax, logsigmoid, mish, prelu, relu, relu6, relu_, rrelu,
    rrelu_, selu, selu_, sigmoid, silu, softmax, softmin, softplus, softshrink, softsign, tanh, tanhshrink, threshold,
    threshold_,
)  # fmt: skip
from swiftnet.nn.functional._convolution import (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)  # fmt: skip
from swiftnet.nn.functional._dropout import (
    alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout,
)  # fmt: skip
from swiftnet.nn.functional._padding import one_hot, pad
