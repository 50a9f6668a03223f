"""Does the explanation survive more training? Maps of many networks against those of one, on the same images.

`groups.py` says of which images the reference is sure. Begin with `groups.py`.
"""
