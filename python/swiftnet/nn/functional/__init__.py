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
from swiftnet.nn.functional._norms import (
    batch_norm, cosine_similarity, group_norm, instance_norm, layer_norm, local_response_norm, normalize,
    pairwise_distance, pdist, rms_norm,
)  # fmt: skip
from swiftnet.nn.functional._pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d, avg_pool1d, avg_pool2d, avg_pool3d, lp_pool1d, lp_pool2d, lp_pool3d, max_pool1d,
    max_pool1d_with_indices, max_pool2d, max_pool2d_with_indices, max_pool3d, max_pool3d_with_indices, max_unpool1d,
    max_unpool2d, max_unpool3d,
)  # fmt: skip
from swiftnet.nn.functional._losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss, cross_entropy, gaussian_nll_loss,
    hinge_embedding_loss, huber_loss, kl_div, l1_loss, margin_ranking_loss, mse_loss, multi_margin_loss,
    multilabel_margin_loss, multilabel_soft_margin_loss, nll_loss, poisson_nll_loss, smooth_l1_loss, soft_margin_loss,
    triplet_margin_loss, triplet_margin_with_distance_loss,
)  # fmt: skip
from swiftnet.nn.functional._padding import one_hot, pad
from swiftnet.nn.functional._vision import (
    channel_shuffle, embedding, interpolate, pixel_shuffle, pixel_unshuffle, scaled_dot_product_attention, upsample,
    upsample_bilinear, upsample_nearest,
)  # fmt: skip
