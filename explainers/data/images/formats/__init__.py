"""What single formats of images need beyond a plain decode.

`tiff_tags.py` tells what a TIFF file holds and which of its pages is the picture, `tiff_chunks.py` reads the values of
any number of bands, `bands.py` makes a picture of some of them; `eight_bits.py` brings other depths to 8 bits,
`pillow.py` opens what OpenCV does not read, `png_chunks.py` takes the pixels out of a PNG. May import `storage` and
`errors`. Begin with `tiff_tags.py`.
"""
