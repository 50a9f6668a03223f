"""Does the explanation survive more training? Maps of many networks against those of one, on the same images.

`networks.py` has what is compared, `groups.py` says of which images the reference is sure. `walk.py` goes from network
to network, each of them `opened.py`, keeps what is done in `keeping.py`, and fills `result.py`; `summary.py` says what
is more than chance. Begin with `drift.py`.
"""
