"""The summary of a trace (benchmarks/trace_summary.py) on traces made by hand. Oracle: sums done by hand."""

import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from esmtools.bench import trace


def event(category: str, name: str, begin: float, length: float, thread: int = 1) -> dict[str, Any]:
    return {"ph": "X", "cat": category, "name": name, "ts": begin, "dur": length, "tid": thread}


# Two steps: backward 100 with a product of 60 inside, of which 10 is a copy; another thread at the same time.
CPU: dict[str, Any] = {
    "traceEvents": [
        event("user_annotation", "backward", 0, 100),
        event("cpu_op", "aten::mm", 20, 60),
        event("cpu_op", "aten::copy_", 30, 10),
        event("user_annotation", "optimizer", 100, 8),
        event("user_annotation", "optimizer", 300, 12),
        event("cpu_op", "aten::mm", 40, 30, thread=2),
        {"ph": "i", "cat": "cpu_op", "name": "no length", "ts": 0},
        event("other", "not ours", 0, 1000),
    ]
}
GPU: dict[str, Any] = {
    "traceEvents": [
        event("user_annotation", "optimizer", 0, 1),
        event("user_annotation", "optimizer", 50, 1),
        event("kernel", "void esmscale::kernels::gpu::rows_kernel<NormForward<float>>", 0, 10),
        event("kernel", "sm90_xmma_gemm_bf16bf16_bf16f32", 10, 30),
        event("kernel", "pytorch_flash::flash_bwd_dq_dk_dv_loop_kernel", 40, 20),
        event("gpu_memset", "Memset (Device)", 60, 4),
        event("kernel", "void multi_tensor_apply_kernel<FusedAdam>", 70, 6),
    ]
}


class TraceSummary(unittest.TestCase):
    def test_time_on_the_host_is_without_what_runs_inside(self) -> None:
        expected = {"backward": 20, "aten::mm": 40, "aten::copy_": 5, "optimizer": 10}
        self.assertEqual(trace.own_time(CPU), expected)

    def test_kernels_are_summed_by_class(self) -> None:
        expected = {"our kernels": 5, "matrix products": 15, "attention": 10, "copies and fills": 2, "optimizer": 3}
        self.assertEqual(trace.kernel_time(GPU), (expected, 2.0))
        self.assertEqual(trace.kernel_time(CPU), ({}, 0))

    def test_what_is_left_out_is_one_row(self) -> None:
        rows = trace.rows({"a": 6000, "b": 1000, "c": 3000}, 2)
        self.assertEqual(rows, [("a", 6, 0.6), ("c", 3, 0.3), ("the rest", 1, 0.1)])

    def test_a_trace_without_steps_is_refused(self) -> None:
        with self.assertRaisesRegex(SystemExit, "optimizer"):
            trace.steps_of({"traceEvents": []})


if __name__ == "__main__":
    unittest.main()
