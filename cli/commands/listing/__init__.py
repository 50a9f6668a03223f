"""The commands that list what there is: methods, metrics, networks. Begin with `methods.py`."""
