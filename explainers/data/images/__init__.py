"""Image files as people have them, and the files that belong to them.

`find.py` lists them, `read.py` makes photos of them or says why not, `decode.py` knows their formats (`formats/` what
single ones need, such as the bands of a TIFF), `convert.py` takes images that a caller has in hand, `write.py` writes
them, `read_ahead.py` keeps a pool of threads reading; `companions.py` finds masks and maps by an image's name,
`arrays.py` reads those of NumPy, `label_table.py` reads classes. The one place that knows OpenCV.
May import `storage` and `errors`. Begin with `read.py`.
"""

from explainers.data.images.convert import as_photo, as_pixels
from explainers.data.images.find import ImageFile, find_images
from explainers.data.images.import_opencv import opencv
from explainers.data.images.read import MAX_PIXELS, Photo, read_image
from explainers.data.images.write import write_image

__all__ = [
    "MAX_PIXELS",
    "ImageFile",
    "Photo",
    "as_photo",
    "as_pixels",
    "find_images",
    "opencv",
    "read_image",
    "write_image",
]
