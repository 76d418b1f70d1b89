"""Pictures and other files of a data set, and what is said when they are missing or damaged."""

import os

from swiftnet.utils.data import Dataset


class LabelledImages(Dataset):
    """Images with a vector of labels each: `images` holds paths, `labels` the vectors; `transform` and
    `target_transform` may be None."""

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image, labels = read_image(self.images[index], "RGB"), self.labels[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            labels = self.target_transform(labels)
        return image, labels


def read_image(path, mode=None):
    """A Pillow image, its pixels read, in the given mode or the file's own."""
    from swiftnet.transforms._pillow import pillow

    try:
        with pillow().open(path) as file:
            if mode is not None:
                return file.convert(mode)
            file.load()
            return file
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:
        raise RuntimeError(f"the image {os.fspath(path)!r} is damaged: {error}") from None


def require(path, where):
    """The path, if there is such a file or folder; `where` says how to get it."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path!r} is missing; {where}")
    return path


def no_download(download, where):
    """Refuses to download."""
    if download:
        raise ValueError(f"swiftnet downloads nothing: {where}")
