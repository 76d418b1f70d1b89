"""The recorded graph, as far as a program may look at it."""

from swiftnet._core import ffi, lib


class Node:
    """A recorded operation."""

    __slots__ = ("_h",)

    @staticmethod
    def of(handle):
        """A node that takes over a handle; None for NULL."""
        if not handle:
            return None
        self = object.__new__(Node)
        self._h = handle
        return self

    def __del__(self):
        lib.sn_node_release(self._h)

    def name(self):
        return ffi.string(lib.sn_node_name(self._h)).decode()

    @property
    def next_functions(self):
        """Where the gradients of the inputs go: pairs of a node (or None) and the number of its output."""
        result = []
        index = ffi.new("int64_t *")
        for position in range(lib.sn_node_input_count(self._h)):
            index[0] = 0
            node = Node.of(lib.sn_node_input(self._h, position, index))
            result.append((node, index[0]))
        return tuple(result)

    def __repr__(self):
        return f"<{self.name()} object at {hex(id(self))}>"
