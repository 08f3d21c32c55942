"""Graphs of ONNX Runtime whose matrices are 8-bit integers.

Every output of a matrix has a scale for each block of inputs. The inputs of a product are rounded
to 8 bits as well, block by block, so that the processor multiplies integers (MatMulNBits of ONNX
Runtime). A step at batch 1 takes about as long as its weights take to be read, and these are a
quarter of the bytes.
"""

# B batch, K inputs and N outputs of a matrix, G blocks of inputs

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

BITS, BLOCK, MIDDLE = 8, 32, 128  # MIDDLE: the integer that means 0
INT8_INPUTS = 4  # accuracy_level of MatMulNBits
OF_RUNTIME = ("MatMulNBits", "QuickGelu")  # operations that ONNX itself lacks
DOMAIN = "com.microsoft"
OPSET, OWN_OPSET, FORMAT = 18, 1, 9

Array = npt.NDArray[Any]
Shape = Sequence[int | str]  # a text names a size that may differ from call to call


class Graph:
    """Operations in their order. Methods return the name of a result."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, shape: Shape) -> str:
        """An array that every call gives."""
        self._inputs.append(_array(name, shape))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One operation with one result."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """One operation with `count` results."""
        from onnx import helper

        names = [f"{kind}{len(self._nodes)}.{number}" for number in range(count)]
        domain = DOMAIN if kind in OF_RUNTIME else ""
        self._nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names

    def constant(self, values: Array) -> str:
        """An array of the graph itself."""
        from onnx import numpy_helper

        name = f"constant{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def sizes(self, *numbers: int) -> str:
        """Whole numbers as an input of an operation: a shape, sizes of parts, axes."""
        return self.constant(np.array(numbers, np.int64))

    def reshape(self, x: str, *shape: int) -> str:
        """0 keeps a size, -1 takes what is left."""
        return self.op("Reshape", x, self.sizes(*shape))

    def split(self, x: str, axis: int, *sizes: int) -> list[str]:
        """Parts of these sizes."""
        return self.ops("Split", len(sizes), x, self.sizes(*sizes), axis=axis)

    def product(self, x_BK: str, weight_KN: Tensor) -> str:
        """The product with a matrix that is rounded to 8 bits, (B, N)."""
        integers, scales = quantized(weight_KN)
        arrays = (self.constant(integers), self.constant(scales))
        inputs, outputs = weight_KN.shape
        return self.op(
            "MatMulNBits", x_BK, *arrays, K=inputs, N=outputs,
            bits=BITS, block_size=BLOCK, accuracy_level=INT8_INPUTS,
        )  # fmt: skip

    def session(self, outputs: Mapping[str, Shape]) -> Any:
        """The graph, ready to run on one thread. outputs: results by name, with their shapes."""
        import onnxruntime
        from onnx import helper

        results = [_array(name, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self._nodes, "step", self._inputs, results, self._weights)
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, OWN_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=FORMAT)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


def quantized(weight_KN: Tensor) -> tuple[Array, Array]:
    """Integers, (N, G, block), and scales, (N, G), as MatMulNBits reads them."""
    weight_NK = weight_KN.detach().float().numpy().T
    outputs, inputs = weight_NK.shape
    blocks = -(-inputs // BLOCK)
    padded = np.pad(weight_NK, ((0, 0), (0, blocks * BLOCK - inputs)))
    values = padded.reshape(outputs, blocks, BLOCK)
    scales = np.abs(values).max(axis=2) / (MIDDLE - 1)
    scales[scales == 0] = 1.0
    integers = np.rint(values / scales[:, :, None]) + MIDDLE
    return integers.astype(np.uint8), scales.astype(np.float32)


def _array(name: str, shape: Shape) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
