"""ONNX files: a black box that takes images and gives scores."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from explainers.errors import DependencyError, ModelFileError
from explainers.models.onnx.end_of_graph import end_of_file
from explainers.storage.paths import shown


class OnnxNetwork:
    """An ONNX file as a function from images to scores, through onnxruntime on the CPU."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise DependencyError("ONNX files need onnxruntime: pip install 'explainers[onnx]'") from error
        try:
            self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelFileError(f"{shown(path)} cannot be read by onnxruntime: {str(error).strip()[:300]}") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            shapes = ", ".join(f"{value.name} {value.shape}" for value in inputs)
            raise ModelFileError(f"{shown(path)} takes {shapes}; expected one input of images (N, C, H, W)")
        self.input, self.type = inputs[0].name, inputs[0].type
        size = inputs[0].shape[0]
        self.batch = size if isinstance(size, int) and size > 0 else None
        self.end = end_of_file(path.read_bytes()) if len(self.session.get_outputs()) == 1 else None
        self.__name__ = f"ONNX file {path.name}"

    def __call__(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W) → the file's outputs."""
        size = self.batch or len(images)
        parts = [self._run(part, size) for part in images.split(size)]
        outputs = tuple(torch.cat(values).to(images.device) for values in zip(*parts, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    def _run(self, images: Tensor, size: int) -> list[Tensor]:
        count = len(images)
        filled = torch.cat([images, images[-1:].expand(size - count, *images.shape[1:])]) if count < size else images
        kind = {"tensor(float16)": torch.float16, "tensor(double)": torch.float64}.get(self.type, torch.float32)
        outputs = self.session.run(None, {self.input: filled.detach().to("cpu", kind).numpy()})
        return [torch.from_numpy(value)[:count] for value in outputs]
