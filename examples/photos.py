"""What the programs share that read data sets of photos."""

from swiftnet import transforms

# Means and standard deviations of ImageNet's photos, by which the weights of backbones expect their input.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TO_INPUT = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
# The mean as a colour, for pixels that are added around a photo.
GREY = tuple(round(255 * mean) for mean in MEAN)


def parse_with_data(parser, full):
    """The program's options; with --data, `full` has the values of those that are not given."""
    if parser.parse_args().data is not None:
        parser.set_defaults(**full)
    return parser.parse_args()
