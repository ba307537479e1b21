"""Pictures in and out: the only place where files of pixels are read and written."""

from icm.images.decode import MAX_PIXELS, MAX_SIDE, image_size, read_image
from icm.images.encode import write_picture
from icm.images.mask import mask_of, read_mask
from icm.images.naming import is_picture_folder, output_path, output_stems, shortened
from icm.images.picture import Picture, PictureSource
from icm.images.png import write_png
from icm.images.profile import convert_colours
from icm.images.regular import open_regular
from icm.images.resize import resize, scaled_size
from icm.images.write import check_writable, remove_leftovers, written_aside

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "Picture",
    "PictureSource",
    "check_writable",
    "convert_colours",
    "image_size",
    "is_picture_folder",
    "mask_of",
    "open_regular",
    "output_path",
    "output_stems",
    "read_image",
    "read_mask",
    "remove_leftovers",
    "resize",
    "scaled_size",
    "shortened",
    "write_picture",
    "write_png",
    "written_aside",
]
