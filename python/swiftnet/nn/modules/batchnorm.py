"""Batch and instance normalisation."""

from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "SyncBatchNorm",
]  # fmt: skip


class _NormBase(BuiltIn):
    """What batch and instance normalisation have in common."""

    _version = 2

    def reset_running_stats(self):
        """Running means of 0, variances of 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def extra_repr(self):
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
        if self.weight is not None and self.bias is None:
            text += ", bias=False"
        return text + f", track_running_stats={self.track_running_stats}"

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        # States written before the number of batches was counted lack it.
        version = local_metadata.get("version")
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class _BatchNorm(_NormBase):
    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *,
        bias=True,
    ):  # fmt: skip
        self._build(locals())


class _InstanceNorm(_NormBase):
    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *,
        bias=True,
    ):  # fmt: skip
        self._build(locals())


_BATCH = """

    y = (x - mean) / √(variance + eps) · weight + bias for each channel (dimension 1). In training mean and variance are
    the batch's, and running averages of them are kept, which serve in evaluation. Ioffe and Szegedy, 2015,
    https://arxiv.org/abs/1502.03167.

    Args:
        num_features: channels.
        eps: added to the variance. Default: 1e-5.
        momentum: share of the batch in the running averages; None: plain means of all batches. Default: 0.1.
        affine: whether there are weight and bias. Default: True.
        track_running_stats: whether running averages are kept; without them, the batch's serve always. Default: True.
        bias: whether there is a bias, where affine. Default: True.

    Attributes:
        weight, bias: (num_features), 1 and 0 at first.
        running_mean, running_var, num_batches_tracked: buffers; the variance is the unbiased one.
    """


class BatchNorm1d(_BatchNorm):
    __doc__ = "Batch normalisation of (N, C) or (N, C, L)." + _BATCH
    _type = "BatchNorm1d"


class BatchNorm2d(_BatchNorm):
    __doc__ = "Batch normalisation of (N, C, H, W)." + _BATCH
    _type = "BatchNorm2d"


class BatchNorm3d(_BatchNorm):
    __doc__ = "Batch normalisation of (N, C, D, H, W)." + _BATCH
    _type = "BatchNorm3d"


class SyncBatchNorm(_BatchNorm):
    __doc__ = "Batch normalisation of (N, C, …); there is one process, so it is plain batch normalisation." + _BATCH
    _type = "SyncBatchNorm"
    _not_settings = BuiltIn._not_settings | {"process_group"}
    process_group = None

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, process_group=None,
        device=None, dtype=None, *, bias=True,
    ):  # fmt: skip
        arguments = locals()
        arguments.pop("process_group")
        self._build(arguments)

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """The module with every batch normalisation in it replaced by a SyncBatchNorm of the same parameters."""
        result = module
        if isinstance(module, _BatchNorm) and not isinstance(module, cls):
            result = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                process_group,
            )  # fmt: skip
            result.training = module.training
            for name, value in module._parameters.items():
                result._parameters[name] = value
            for name, value in module._buffers.items():
                result._buffers[name] = value
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result


_INSTANCE = """

    y = (x - mean) / √(variance + eps) · weight + bias with mean and variance of each channel of each sample. Ulyanov et
    al., 2016, https://arxiv.org/abs/1607.08022.

    Args:
        num_features: channels.
        eps: added to the variance. Default: 1e-5.
        momentum: share of the batch in the running averages. Default: 0.1.
        affine: whether there are weight and bias. Default: False.
        track_running_stats: whether running averages are kept and serve in evaluation. Default: False.
        bias: whether there is a bias, where affine. Default: True.
    """


class InstanceNorm1d(_InstanceNorm):
    __doc__ = "Instance normalisation of (N, C, L) or (C, L)." + _INSTANCE
    _type = "InstanceNorm1d"


class InstanceNorm2d(_InstanceNorm):
    __doc__ = "Instance normalisation of (N, C, H, W) or (C, H, W)." + _INSTANCE
    _type = "InstanceNorm2d"


class InstanceNorm3d(_InstanceNorm):
    __doc__ = "Instance normalisation of (N, C, D, H, W) or (C, D, H, W)." + _INSTANCE
    _type = "InstanceNorm3d"
