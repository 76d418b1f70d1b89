"""Search for the operation whose backward gives NaN."""

from swiftnet._core import lib


class set_detect_anomaly:
    """Turns the search for NaN in backward on or off, at once and as a context manager; by thread."""

    def __init__(self, mode, check_nan=True):
        self._before = lib.sn_is_anomaly_enabled()
        lib.sn_set_anomaly_enabled(bool(mode) and check_nan)

    def __enter__(self):
        return None

    def __exit__(self, *exception):
        lib.sn_set_anomaly_enabled(self._before)


class detect_anomaly:
    """Inside, backward raises where an operation gives NaN, and names it."""

    def __init__(self, check_nan=True):
        self._check = check_nan

    def __enter__(self):
        self._before = lib.sn_is_anomaly_enabled()
        lib.sn_set_anomaly_enabled(self._check)

    def __exit__(self, *exception):
        lib.sn_set_anomaly_enabled(self._before)


def is_anomaly_enabled():
    """Whether backward searches for NaN."""
    return bool(lib.sn_is_anomaly_enabled())
