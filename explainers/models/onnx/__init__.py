"""ONNX files as networks: black boxes, whose graph is read for how it ends. Begin with `network.py`."""
