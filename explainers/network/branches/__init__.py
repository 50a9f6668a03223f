"""Branches of a network that no module joins: `junction.py` finds where they meet, `operations.py` counts what is none.

Begin with `junction.py`.
"""
