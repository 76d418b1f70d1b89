"""Transforms beside NumPy and Pillow, images and masks together."""

import numpy as np
import pytest
import swiftnet
from PIL import Image
from swiftnet import transforms as T

RNG = np.random.default_rng(0)
ARRAY = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GRAY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
MASK = RNG.integers(0, 5, (20, 30))


def kinds():
    return [ARRAY, GRAY, Image.fromarray(ARRAY), Image.fromarray(GRAY)]


def test_to_tensor_and_normalize():
    x = T.ToTensor()(ARRAY)
    assert x.dtype is swiftnet.float32
    np.testing.assert_allclose(x.numpy(), ARRAY.transpose(2, 0, 1) / np.float32(255), rtol=1e-6)
    assert T.ToTensor()(Image.fromarray(GRAY)).shape == (1, 20, 30)
    y, mask = T.ToTensor()(ARRAY, MASK)
    assert mask.dtype is swiftnet.int64
    np.testing.assert_array_equal(mask.numpy(), MASK)
    scaled = T.Normalize((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))(x)
    expected = (x.numpy() - np.float32([[[0.1]], [[0.2]], [[0.3]]])) / np.float32([[[0.5]], [[0.6]], [[0.7]]])
    np.testing.assert_allclose(scaled.numpy(), expected, rtol=1e-6)
    with pytest.raises(TypeError, match="comes after ToTensor"):
        T.Normalize((0,), (1,))(ARRAY)
    with pytest.raises(ValueError, match="division by zero"):
        T.Normalize((0,), (0,))
    with pytest.raises(TypeError, match="ToTensor comes last"):
        T.RandomCrop(4)(x)


MOVES = {
    "crop": lambda: T.RandomCrop(16),
    "padded crop": lambda: T.RandomCrop((20, 30), padding=4),
    "crop of a smaller image": lambda: T.RandomCrop(40, pad_if_needed=True),
    "middle": lambda: T.CenterCrop(16),
    "middle of a smaller image": lambda: T.CenterCrop((24, 40)),
    "flip": lambda: T.RandomHorizontalFlip(1.0),
    "vertical flip": lambda: T.RandomVerticalFlip(1.0),
    "pad": lambda: T.Pad((1, 2, 3, 4)),
}


@pytest.mark.parametrize("name", MOVES)
def test_images_and_masks_move_together(name):
    transform = MOVES[name]()
    numbers = np.arange(600).reshape(20, 30).astype(np.int32)
    for seed in range(5):
        swiftnet.manual_seed(seed)
        image, mask = transform(numbers + 1, numbers + 1000)
        inside = image > 0
        np.testing.assert_array_equal(mask[inside], image[inside] + 999)
        assert (mask[~inside] == 255).all()
        swiftnet.manual_seed(seed)
        np.testing.assert_array_equal(transform(numbers + 1), image)


@pytest.mark.parametrize("name", MOVES)
def test_arrays_and_pillow_images_give_the_same(name):
    for array in (ARRAY, GRAY):
        found = []
        for image in (array, Image.fromarray(array)):
            swiftnet.manual_seed(3)
            found.append(MOVES[name]()(image))
        assert isinstance(found[0], np.ndarray)
        assert isinstance(found[1], Image.Image)
        np.testing.assert_array_equal(found[0], np.asarray(found[1]))


def test_random_crop_draws_as_pytorch_users_expect():
    swiftnet.manual_seed(5)
    top, left = (int(swiftnet.randint(0, n, (1,)).item()) for n in (5, 15))
    swiftnet.manual_seed(5)
    np.testing.assert_array_equal(T.RandomCrop(16)(ARRAY), ARRAY[top : top + 16, left : left + 16])


def test_resizing():
    for image in kinds():
        assert np.asarray(T.Resize((10, 12))(image)).shape[:2] == (10, 12)
        assert np.asarray(T.Resize(10)(image)).shape[:2] == (10, 15)
    expected = np.asarray(Image.fromarray(ARRAY).resize((12, 10), Image.Resampling.BILINEAR))
    image, mask = T.Resize((10, 12))(ARRAY, MASK)
    np.testing.assert_array_equal(image, expected)
    assert set(np.unique(mask)) <= set(range(5))
    assert mask.dtype == MASK.dtype
    for _ in range(5):
        image, mask = T.RandomScale((0.5, 2.0), aspect_ratio=(0.8, 1.25))(ARRAY, MASK)
        assert image.shape[:2] == mask.shape
        assert 0.4 < image.shape[0] / 20 < 2.4
        image, mask = T.RandomResizedCrop(8)(ARRAY, MASK)
        assert image.shape == (8, 8, 3)
        assert mask.shape == (8, 8)


def test_rotation():
    image, mask = T.RandomRotation((90, 90))(ARRAY[:20, :20], MASK[:20, :20])
    np.testing.assert_array_equal(image, np.rot90(ARRAY[:20, :20]))
    np.testing.assert_array_equal(mask, np.rot90(MASK[:20, :20]))
    image, mask = T.RandomRotation((45, 45), fill=7)(ARRAY, MASK)
    assert (image[0, 0] == 7).all()
    assert mask[0, 0] == 255
    assert T.RandomRotation(10, p=0.0)(ARRAY) is ARRAY


def test_colours():
    swiftnet.manual_seed(0)
    jitter = T.ColorJitter(0.4, 0.4, 0.4, 0.2)
    image, mask = jitter(ARRAY, MASK)
    assert image.shape == ARRAY.shape
    assert mask is MASK
    assert (image != ARRAY).any()
    assert T.ColorJitter()(ARRAY).tolist() == ARRAY.tolist()
    brighter = T.ColorJitter(brightness=(2.0, 2.0))(ARRAY)
    np.testing.assert_array_equal(brighter, np.minimum(ARRAY.astype(int) * 2, 255))
    gray = T.RandomGrayscale(1.0)(ARRAY)
    assert (gray[..., 0] == gray[..., 1]).all()
    assert T.RandomGaussianBlur(2.0, p=1.0)(ARRAY).std() < ARRAY.std()
    with pytest.raises(ValueError, match="hue values"):
        T.ColorJitter(hue=0.7)


def test_composition():
    swiftnet.manual_seed(1)
    steps = T.Compose([T.RandomCrop(16), T.RandomApply([T.RandomHorizontalFlip()], p=0.5), T.ToTensor()])
    image, mask = steps(Image.fromarray(ARRAY), Image.fromarray(MASK.astype(np.uint8)))
    assert image.shape == (3, 16, 16)
    assert mask.shape == (16, 16)
    assert T.Lambda(lambda x: x + 1)(GRAY.astype(int)).max() == int(GRAY.max()) + 1
    choice = T.RandomChoice([T.CenterCrop(4), T.CenterCrop(6)])
    assert {choice(ARRAY).shape[0] for _ in range(20)} == {4, 6}
    assert "RandomCrop(size=(16, 16)" in repr(steps)


def test_mistakes():
    with pytest.raises(ValueError, match="larger than input image size"):
        T.RandomCrop(64)(ARRAY)
    with pytest.raises(ValueError, match="same size"):
        T.RandomCrop(4)(ARRAY, MASK[:5])
    with pytest.raises(ValueError, match="shape"):
        T.RandomCrop(4)(np.zeros((2, 3, 4, 5)))
    with pytest.raises(ValueError, match="interpolation"):
        T.Resize(4, interpolation="sharp")
    with pytest.raises(ValueError, match="3 or 4 of bytes"):
        T.Resize(4)(np.zeros((8, 8, 2), np.uint8))
