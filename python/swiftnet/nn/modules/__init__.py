"""The layers, by family."""

from swiftnet.nn.modules.activation import *  # noqa: F403
from swiftnet.nn.modules.adaptive import *  # noqa: F403
from swiftnet.nn.modules.batchnorm import *  # noqa: F403
from swiftnet.nn.modules.container import *  # noqa: F403
from swiftnet.nn.modules.conv import *  # noqa: F403
from swiftnet.nn.modules.distance import *  # noqa: F403
from swiftnet.nn.modules.dropout import *  # noqa: F403
from swiftnet.nn.modules.flatten import *  # noqa: F403
from swiftnet.nn.modules.lazy import *  # noqa: F403
from swiftnet.nn.modules.linear import *  # noqa: F403
from swiftnet.nn.modules.loss import *  # noqa: F403
from swiftnet.nn.modules.module import Module
from swiftnet.nn.modules.normalization import *  # noqa: F403
from swiftnet.nn.modules.padding import *  # noqa: F403
from swiftnet.nn.modules.patches import *  # noqa: F403
from swiftnet.nn.modules.pooling import *  # noqa: F403
from swiftnet.nn.modules.sparse import *  # noqa: F403
from swiftnet.nn.modules.vision import *  # noqa: F403
