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


def read_weights(weights):
    """The state_dict that is given, or lies in a file."""
    if isinstance(weights, (str, os.PathLike)):
        if not os.path.exists(weights):
            raise FileNotFoundError(f"there is no file {os.fspath(weights)!r}; {NO_DOWNLOAD}")
        from swiftnet import load

        weights = load(weights)
    if not hasattr(weights, "keys"):
        raise ValueError(NO_DOWNLOAD)
    return weights


def load_weights(model, weights):
    """Loads a state_dict, or the file that holds one, into a model; None leaves it as it is."""
    if weights is not None and weights is not False:
        model.load_state_dict(read_weights(weights))
    return model


def load_backbone(model, weights, places):
    """Loads the weights of a whole residual network into the parts of it that a model has.

    Args:
        places: from the names of the network's children to the dotted names of the model's.
    """
    own = model.state_dict()
    state = {}
    for key, value in read_weights(weights).items():
        child, _, rest = key.partition(".")
        if child in places:
            state[f"{places[child]}.{rest}"] = value
    wanted = [key for key in own if any(key.startswith(f"{place}.") for place in places.values())]
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    if missing or unknown:
        problem = f"lack {missing[0]!r}" if missing else f"have {unknown[0]!r}, which the model has not"
        raise RuntimeError(f"these are not the weights of the backbone of {type(model).__name__}: they {problem}")
    model.load_state_dict({**own, **state})
    return model
