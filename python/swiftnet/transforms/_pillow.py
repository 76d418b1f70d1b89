"""Between NumPy arrays and Pillow images."""

import numpy as np

from swiftnet.transforms._transform import as_array, is_pillow


def pillow(module="Image"):
    """A module of Pillow."""
    try:
        import importlib

        return importlib.import_module(f"PIL.{module}")
    except ImportError:
        raise ImportError("this needs Pillow, which is not there: pip install pillow") from None


def to_pillow(image):
    """The image for Pillow; one channel of any numbers, or several of bytes."""
    if is_pillow(image):
        return image
    array = as_array(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and (array.dtype != np.uint8 or array.shape[2] not in (3, 4)):
        raise ValueError(
            f"an image of several channels must have 3 or 4 of bytes (uint8), but this has {array.shape[2]} of "
            f"{array.dtype}"
        )
    if array.dtype in (np.int64, np.uint32, np.int16, np.int8, np.bool_):
        array = array.astype(np.int32)
    elif array.dtype == np.float64:
        array = array.astype(np.float32)
    return pillow().fromarray(np.ascontiguousarray(array))


def as_kind_of(original, changed):
    """What became of an image as what the image was: Pillow's or an array of the same dtype."""
    if is_pillow(original):
        return changed if is_pillow(changed) else pillow().fromarray(np.ascontiguousarray(changed))
    array = np.asarray(changed)
    if original.ndim == 3 and array.ndim == 2:
        array = array[:, :, None]
    return array.astype(original.dtype, copy=False)
