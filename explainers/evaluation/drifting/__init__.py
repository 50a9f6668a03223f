"""Does the explanation survive more training? Maps of many networks against those of one, on the same images.

`networks.py` has what is compared, `groups.py` says of which images the reference is sure. `network_by_network.py`
loads one after the other (`loaded_network.py`), keeps what is done (`finished_units.py`), and fills `result.py`, whose
lines `table_lines.py` tells apart; `summary.py` says what is more than chance. Begin with `drift.py`.
"""
