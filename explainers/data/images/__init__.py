"""Image files as people have them: found, read, refused with a reason, written; and the files that belong to them.

The one place that knows OpenCV. Begin with `files.py`.
"""

from explainers.data.images.files import (
    MAX_PIXELS,
    ImageFile,
    Photo,
    as_pixels,
    find_images,
    opencv,
    read_image,
    write_image,
)

__all__ = ["MAX_PIXELS", "ImageFile", "Photo", "as_pixels", "find_images", "opencv", "read_image", "write_image"]
