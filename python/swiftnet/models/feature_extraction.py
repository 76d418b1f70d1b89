"""What a network computes on the way: the outputs of any of its named parts."""

from collections import OrderedDict

from swiftnet.nn.modules.module import Module

__all__ = ["FeatureExtractor", "IntermediateLayerGetter", "create_feature_extractor", "get_graph_node_names"]


class _Complete(BaseException):
    """All features are there; the rest of the network need not run."""


class FeatureExtractor(Module):
    """Gives a dictionary of what named parts of a model gave. The model's parameters are shared, under their names.

    Args:
        model: any module.
        train_return_nodes, eval_return_nodes: dotted names of parts, with the names that their outputs get.
    """

    def __init__(self, model, train_return_nodes, eval_return_nodes):
        super().__init__()
        known = dict(model.named_modules())
        for name in [*train_return_nodes, *eval_return_nodes]:
            if name not in known or name == "":
                raise ValueError(
                    f"node: '{name}' is not present in model. Hint: use `get_graph_node_names` to make sure the "
                    f"`return_nodes` you specified are present: {', '.join(n for n in known if n)}"
                )
        # In a tuple, or it would become a child.
        self._whole = (model,)
        self._nodes = {True: dict(train_return_nodes), False: dict(eval_return_nodes)}
        first_names = {name.split(".")[0] for names in self._nodes.values() for name in names}
        children = list(model._modules.items())
        last = max(index for index, (name, _) in enumerate(children) if name in first_names)
        for name, child in children[: last + 1]:
            if child is not None:
                self._modules[name] = child
        self.training = model.training

    def train(self, mode=True):
        self._whole[0].training = mode
        return super().train(mode)

    def forward(self, *args, **kwargs):
        model = self._whole[0]
        nodes = self._nodes[self.training]
        found, handles = {}, []

        def tap(name):
            def hook(module, inputs, output):
                found[name] = output
                if len(found) == len(nodes):
                    raise _Complete

            return hook

        try:
            for name in nodes:
                handles.append(model.get_submodule(name).register_forward_hook(tap(name)))
            model(*args, **kwargs)
        except _Complete:
            pass
        finally:
            for handle in handles:
                handle.remove()
        missing = [name for name in nodes if name not in found]
        if missing:
            raise RuntimeError(f"the model did not run '{missing[0]}'")
        return OrderedDict((alias, found[name]) for name, alias in nodes.items())


def _named(nodes):
    if isinstance(nodes, dict):
        return {str(name): str(alias) for name, alias in nodes.items()}
    return {str(name): str(name) for name in nodes}


def create_feature_extractor(model, return_nodes=None, train_return_nodes=None, eval_return_nodes=None):
    """A module that gives what named parts of a model gave, as a dictionary.

    Args:
        model: any module.
        return_nodes: dotted names of parts ("layer3", "layer4.1.bn2"), or a dictionary from those to the names that
            their outputs get.
        train_return_nodes, eval_return_nodes: both instead of `return_nodes`, where the modes differ.

    >>> body = create_feature_extractor(swiftnet.models.resnet18(), {"layer2": "low", "layer4": "high"})
    >>> [(name, x.shape) for name, x in body(swiftnet.rand(1, 3, 64, 64)).items()]
    [('low', swiftnet.Size([1, 128, 8, 8])), ('high', swiftnet.Size([1, 512, 2, 2]))]

    What comes after the last of the parts does not run.
    """
    if return_nodes is None and (train_return_nodes is None or eval_return_nodes is None):
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, should be specified"
        )
    if return_nodes is not None and (train_return_nodes is not None or eval_return_nodes is not None):
        raise ValueError("`return_nodes` and `train_return_nodes`/`eval_return_nodes` exclude each other")
    return FeatureExtractor(
        model,
        _named(return_nodes if train_return_nodes is None else train_return_nodes),
        _named(return_nodes if eval_return_nodes is None else eval_return_nodes),
    )


def IntermediateLayerGetter(model, return_layers):
    """As `create_feature_extractor`, for children of the model itself.

    Args:
        return_layers: from names of children to the names that their outputs get.
    """
    if not set(return_layers).issubset(name for name, _ in model.named_children()):
        raise ValueError("return_layers are not present in model")
    return create_feature_extractor(model, return_layers)


def get_graph_node_names(model):
    """The names that `create_feature_extractor` takes, for training and for evaluation."""
    names = [name for name, _ in model.named_modules() if name]
    return names, list(names)
