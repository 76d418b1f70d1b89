"""Results with several parts, by name: `x.max(dim=0).values`."""


def _make(name, fields):
    def __new__(cls, *values):
        return tuple.__new__(cls, values[0] if len(values) == 1 and not hasattr(values[0], "_h") else values)

    def __repr__(self):
        parts = ",\n".join(f"{field}={value!r}" for field, value in zip(fields, self, strict=True))
        return f"swiftnet.return_types.{name}(\n{parts})"

    def __reduce__(self):
        return (type(self), (tuple(self),))

    members = {
        "__new__": __new__,
        "_make": classmethod(lambda cls, values: tuple.__new__(cls, values)),
        "__repr__": __repr__, "__reduce__": __reduce__, "__slots__": (),
        "__module__": "swiftnet.return_types", "__doc__": f"The result of `{name}`: {', '.join(fields)}.",
        "n_fields": len(fields), "n_sequence_fields": len(fields), "n_unnamed_fields": 0, "_fields": fields,
    }  # fmt: skip
    for position, field in enumerate(fields):
        members[field] = property(lambda self, position=position: self[position])
    return type(name, (tuple,), members)


_VALUES = ("values", "indices")
max = _make("max", _VALUES)
min = _make("min", _VALUES)
cummax = _make("cummax", _VALUES)
cummin = _make("cummin", _VALUES)
sort = _make("sort", _VALUES)
topk = _make("topk", _VALUES)
kthvalue = _make("kthvalue", _VALUES)
median = _make("median", _VALUES)
nanmedian = _make("nanmedian", _VALUES)
mode = _make("mode", _VALUES)
geqrf = _make("geqrf", ("a", "tau"))
aminmax = _make("aminmax", ("min", "max"))
slogdet = _make("slogdet", ("sign", "logabsdet"))
linalg_slogdet = _make("linalg_slogdet", ("sign", "logabsdet"))
linalg_qr = _make("linalg_qr", ("Q", "R"))
linalg_eigh = _make("linalg_eigh", ("eigenvalues", "eigenvectors"))
linalg_svd = _make("linalg_svd", ("U", "S", "Vh"))
linalg_lstsq = _make("linalg_lstsq", ("solution", "residuals", "rank", "singular_values"))
linalg_lu_factor = _make("linalg_lu_factor", ("LU", "pivots"))
linalg_lu = _make("linalg_lu", ("P", "L", "U"))
