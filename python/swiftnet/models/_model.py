"""What the Python faces of models have in common."""

import os

from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn

NO_DOWNLOAD = (
    "swiftnet downloads no weights: give `weights` the path of a file with a state_dict, for example "
    "weights='resnet50-0676ba61.pth', or the state_dict itself"
)


class Model(BuiltIn):
    """A module of one or more inputs, of whatever type, and any output."""

    def forward(self, *inputs):
        return forward_values(self._sn, inputs)


def load_weights(model, weights):
    """Loads a state_dict, or the file that holds one, into a model; None leaves it as it is."""
    if weights is None or weights is False:
        return model
    if isinstance(weights, (str, os.PathLike)):
        if not os.path.exists(weights):
            raise FileNotFoundError(f"there is no file {os.fspath(weights)!r}; {NO_DOWNLOAD}")
        from swiftnet import load

        weights = load(weights)
    if not hasattr(weights, "keys"):
        raise ValueError(NO_DOWNLOAD)
    model.load_state_dict(weights)
    return model
