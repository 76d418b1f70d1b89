"""Worker processes of a loader.

A worker has one connection to the process that made it. Requests are lists of keys; replies come in their order,
sent by a thread of the worker, so that it works ahead while the other side is busy. The memory of tensors and arrays
goes through the connection as it is, beside the pickled rest.
"""

import collections
import io
import os
import pickle
import queue
import random
import signal
import struct
import threading
import traceback

import swiftnet
from swiftnet._numpy import np
from swiftnet._tensor import Tensor
from swiftnet.utils.data.fetch import make_fetch

WorkerInfo = collections.namedtuple("WorkerInfo", ["id", "num_workers", "seed", "dataset"])
WorkerInfo.__doc__ = "What `get_worker_info` tells: the number of this worker, of how many, its seed, its data set."

_info = None

# Kinds of replies.
DATA, END, ERROR = range(3)
# Requests that are no keys.
STOP, RESTART = "stop", "restart"

# How often an idle worker looks whether its parent still lives.
_PARENT_CHECK_SECONDS = 5


def get_worker_info():
    """In a worker process its `WorkerInfo`, elsewhere None."""
    return _info


class _Pickler(pickle.Pickler):
    """Keeps the memory of tensors out of the pickle."""

    def reducer_override(self, obj):
        if not isinstance(obj, Tensor) or not obj.is_leaf:
            return NotImplemented
        data = obj.detach().contiguous()
        dtype = data.dtype
        if dtype is swiftnet.bfloat16:
            data = data.view(swiftnet.int16)
        return _restore, (data.numpy(), dtype.name, type(obj), obj.requires_grad)


def _restore(array, dtype, cls, requires_grad):
    result = swiftnet.from_numpy(array)
    if dtype == "bfloat16":
        result = result.view(swiftnet.bfloat16)
    return result.requires_grad_(requires_grad) if cls is Tensor else cls(result, requires_grad)


def send(connection, kind, value):
    """Sends a reply."""
    stream, buffers = io.BytesIO(), []
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump((kind, value))
    parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    sizes = [part.nbytes for part in parts]
    connection.send_bytes(struct.pack(f"<{len(sizes)}q", *sizes))
    for part in parts:
        while part.nbytes:
            part = part[os.write(connection.fileno(), part) :]


def receive(connection):
    """Receives a reply: its kind and value. Raises EOFError if the other side is gone."""
    header = connection.recv_bytes()
    parts = [_read(connection.fileno(), size) for size in struct.unpack(f"<{len(header) // 8}q", header)]
    return pickle.loads(parts[0], buffers=parts[1:])


def _read(file, size):
    memory = np.empty(size, np.uint8)
    left = memoryview(memory)
    while left.nbytes:
        count = os.readv(file, [left])
        if count == 0:
            raise EOFError
        left = left[count:]
    return memory


class CarriedError:
    """An exception on its way from a worker: its type and the text of its traceback."""

    def __init__(self, error, where):
        self.where = where
        self.name = type(error).__name__
        self.text = "".join(traceback.format_exception(error))
        try:
            pickle.dumps(type(error))
            self.type = type(error)
        except Exception:
            self.type = RuntimeError

    def reraise(self):
        """Raises an exception of the same type with the worker's traceback in its message."""
        message = f"Caught {self.name} {self.where}.\nOriginal {self.text}"
        if issubclass(self.type, KeyError):
            message = _Verbatim(message)
        try:
            error = self.type(message)
        except Exception:
            error = RuntimeError(message)
        raise error


class _Verbatim(str):
    """A message that KeyError shows with its line breaks."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


def seed_everything(base_seed, worker_id):
    """Seeds Python's, NumPy's and this library's generators for one worker; returns its seed."""
    seed = base_seed + worker_id
    random.seed(seed)
    swiftnet.manual_seed(seed)
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(entropy).generate_state(4))
    return seed


def run(connection, dataset, fetch_arguments, base_seed, init_fn, worker_id, num_workers):
    """The main function of a worker."""
    global _info
    # Ctrl-C reaches all processes of a terminal: the parent's to handle, who stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    swiftnet.set_num_threads(1)
    seed = seed_everything(base_seed, worker_id)
    _info = WorkerInfo(worker_id, num_workers, seed, dataset)
    where = f"in DataLoader worker process {worker_id}"
    replies = queue.SimpleQueue()
    threading.Thread(target=_sender, args=(connection, replies, where), daemon=True).start()
    failure = None
    try:
        if init_fn is not None:
            init_fn(worker_id)
        fetch = make_fetch(dataset, *fetch_arguments)
    except Exception as error:
        failure = CarriedError(error, where)
    ended = False
    for request in _requests(connection):
        if request == RESTART:
            ended = False
            if failure is None:
                fetch = make_fetch(dataset, *fetch_arguments)
        elif failure is not None:
            replies.put((ERROR, failure))
        elif ended:
            replies.put((END, None))
        else:
            try:
                replies.put((DATA, fetch(request[0])))
            except StopIteration:
                ended = True
                replies.put((END, None))
            except Exception as error:
                replies.put((ERROR, CarriedError(error, where)))
    # What is still to be sent goes out before the process ends.
    replies.put(None)


def _requests(connection):
    """Requests until the parent says stop or is gone."""
    parent = os.getppid()
    while True:
        try:
            if not connection.poll(_PARENT_CHECK_SECONDS):
                if os.getppid() != parent:
                    return
                continue
            request = connection.recv()
        except (EOFError, OSError):
            return
        if request == STOP:
            return
        yield request


def _sender(connection, replies, where):
    while True:
        reply = replies.get()
        if reply is None:
            return
        try:
            try:
                send(connection, *reply)
            except OSError:
                return
            except Exception as error:
                # The batch cannot be pickled; nothing of it has been sent.
                send(connection, ERROR, CarriedError(error, where))
        except OSError:
            return
