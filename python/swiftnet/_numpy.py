"""NumPy, loaded when it is first asked for: its import would take as long as that of everything else here."""


class _NumPy:
    def __getattr__(self, name):
        import numpy

        value = getattr(numpy, name)
        setattr(self, name, value)
        return value


np = _NumPy()
