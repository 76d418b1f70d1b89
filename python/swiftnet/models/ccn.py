"""Networks with several branches: fusion of features, of extractors, of decisions; for images of 2 or 3 dimensions.

An extractor is a convolution with kernel 3, maxima over windows of 2 with stride 1, batch normalisation, LeakyReLU and
dropout.
"""

from swiftnet.models._model import Model

__all__ = ["CCN", "CCNModels", "CCNSingle", "DecisionFusion"]

_ARGUMENTS = """

    Args:
        num: channels of an extractor.
        p: probability of dropout.
        cnt: branches.
        input_size: (H, W) or (D, H, W) of an input.
        classes: Default: 30.
        in_channels: channels of an input. Default: 1.
    """


class CCN(Model):
    __doc__ = "Several inputs, one extractor for all; the features are joined before the classifier." + _ARGUMENTS
    _type = "CCN"

    def __init__(self, num, p, cnt, input_size, classes=30, in_channels=1):
        self._build(locals())

    def forward(self, inputs):
        return super().forward(inputs)


class CCNModels(Model):
    __doc__ = (
        "An extractor per branch; the features are joined before the classifier. Takes a list of inputs, or one input "
        "for all branches." + _ARGUMENTS
    )
    _type = "CCNModels"

    def __init__(self, num, p, cnt, input_size, classes=30, in_channels=1):
        self._build(locals())

    def forward(self, inputs):
        return super().forward(inputs)


class CCNSingle(Model):
    """One extractor and a classifier: a model for `DecisionFusion`.

    Args:
        num, p, input_size, classes, in_channels: as for `CCN`.
    """

    _type = "CCNSingle"

    def __init__(self, num, p, input_size, classes=30, in_channels=1):
        self._build(locals())

    def forward(self, inputs):
        return super().forward(inputs)


class DecisionFusion(Model):
    """The weighted sum of the outputs of whole models, `model0`, `model1`, …

    Args:
        *models: modules; all get the same input, or each its own out of a list.
        weights: one number per model. Default: the mean.
        parts: give (sum, output of model 0, output of model 1, …), so that each model can have a loss of its own.
    """

    _type = "DecisionFusion"

    def __init__(self, *models, weights=None, parts=False):
        self._build({"weights": weights, "parts": parts})
        for index, model in enumerate(models):
            self.add_module(f"model{index}", model)

    def forward(self, inputs):
        return super().forward(inputs)
