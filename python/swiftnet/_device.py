"""Devices: there is one, the CPU. The rest lets programs run that ask for others politely."""


class device:
    """Where a tensor lives: `device("cpu")`, `device("cuda:0")`, `device("cuda", 0)`."""

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        name, _, number = type.partition(":")
        if name not in ("cpu", "cuda", "mps", "meta", "xpu"):
            raise RuntimeError(
                f"Expected one of cpu, cuda, mps, meta, xpu device type at start of device string: {type}"
            )
        if number:
            if index is not None:
                raise RuntimeError("type (string) must not include an index because index was passed explicitly")
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type = name
        self.index = index

    def __repr__(self):
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return (device, (self.type, self.index))


cpu = device("cpu")


def check_device(wanted):
    """Raises unless the device is the CPU, or programs for others were told to stay on the CPU."""
    if wanted is None or wanted is cpu:
        return
    if device(wanted).type != "cpu":
        from swiftnet import cuda

        cuda.refuse(str(wanted))
