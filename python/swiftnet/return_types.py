"""Named results of operations that give more than one tensor."""

from collections import namedtuple


def _ranked(name):
    return namedtuple(name, ("values", "indices"), module=__name__)


sort, topk, kthvalue, median, nanmedian, mode, max, min, cummax, cummin = map(
    _ranked, ("sort", "topk", "kthvalue", "median", "nanmedian", "mode", "max", "min", "cummax", "cummin")
)
