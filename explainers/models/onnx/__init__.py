"""Networks in ONNX files: run by ONNX Runtime, and read for what their last steps make of the scores.

Stands on `storage` and `errors`. Begin with `onnx_network.py`.
"""
