"""What `explain drift` makes of its arguments: networks (`lineup.py`), and all the rest (`settings.py`). Begin with
`lineup.py`.
"""
