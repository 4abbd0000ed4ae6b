"""Arrays that a model of ONNX Runtime reads and writes, at addresses that stay the same from run to run.

Source: onnxruntime.ai, "I/O Binding" and "CUDA Execution Provider", its section on CUDA graphs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from morphstream.session.session import Array


class Binding:
    """The arrays of a model's inputs and outputs, for one shape of the inputs.

    Attributes:
        inputs: The inputs in this machine's memory; the caller writes them before a run.
    """

    def __init__(
        self,
        runtime: Any,
        session: Any,
        *,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array | None],
        declared: Mapping[str, tuple[int, ...]],
        device: str,
        entries: Mapping[str, str],
    ) -> None:
        """Bind arrays to a model.

        Args:
            runtime: The module ``onnxruntime`` or one like it.
            session: An ``InferenceSession``.
            inputs: C-contiguous; kept, and read by each run.
            outputs: In the model's order, C-contiguous; kept, and on the CPU written by each run. None where the shape
                is not known before the first run.
            declared: Shapes of the outputs in the model, -1 where an axis is dynamic. ONNX Runtime binds no array of
                another shape: outputs that have another one get new arrays in each run.
            device: ``cpu`` or ``cuda``.
            entries: Configuration of every run.
        """
        self.inputs = inputs
        self._runtime, self._session, self._device = runtime, session, device
        self._io, self._options = session.io_binding(), runtime.RunOptions()
        self._options.log_severity_level = 4  # errors are raised
        for key, value in entries.items():
            self._options.add_run_config_entry(key, value)
        self._values = {name: self._value(array) for name, array in inputs.items()}
        for name, value in self._values.items():
            self._io.bind_ortvalue_input(name, value)
        self._outputs: dict[str, Array] = {}
        self._declared = declared
        self._names, self._output_values = list(outputs), dict[str, Any]()
        for name, array in outputs.items():
            if array is not None:
                self._bind_output(name, array)

    def run(self) -> dict[str, Array]:
        """Run, and return the outputs by name; on the CPU the next run overwrites them."""
        if self._device != "cpu":
            for name, array in self.inputs.items():
                self._values[name].update_inplace(array)
        for name in self._names:
            if name not in self._outputs:
                self._io.bind_output(name, self._device, 0)  # each time, as ONNX Runtime keeps the array that it made
        self._session.run_with_iobinding(self._io, self._options)
        if self._device == "cpu" and len(self._outputs) == len(self._names):
            return dict(self._outputs)
        copies = dict(zip(self._names, self._io.copy_outputs_to_cpu(), strict=True))
        for name in self._names:
            if name not in self._outputs:
                copies[name] = np.array(copies[name], order="C")  # ours, and of a shape that is known now
                if _fits(copies[name].shape, self._declared[name]):
                    self._bind_output(name, copies[name])
        return copies

    def _bind_output(self, name: str, array: Array) -> None:
        self._outputs[name], self._output_values[name] = array, self._value(array)
        self._io.bind_ortvalue_output(name, self._output_values[name])

    def _value(self, array: Array) -> Any:
        """Return a value that shares an array's memory on the CPU, or has memory of its size on the GPU."""
        return self._runtime.OrtValue.ortvalue_from_numpy(array, self._device, 0)


def _fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    pairs = zip(shape, declared, strict=False)
    return len(shape) == len(declared) and all(expected in (-1, seen) for seen, expected in pairs)
