"""benchmarks/trace_summary.py on traces made by hand. Oracle: sums done by hand."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import trace_summary  # noqa: E402


def event(category, name, ts, dur, tid=1):
    return {"ph": "X", "cat": category, "name": name, "ts": ts, "dur": dur, "tid": tid}


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: expected {expected}, found {found}")


# Two steps: backward 100 with a product of 60 inside, of which 10 is a copy; another thread at the same time.
cpu = {"traceEvents": [
    event("user_annotation", "backward", 0, 100), event("cpu_op", "aten::mm", 20, 60),
    event("cpu_op", "aten::copy_", 30, 10), event("user_annotation", "optimizer", 100, 8),
    event("user_annotation", "optimizer", 300, 12), event("cpu_op", "aten::mm", 40, 30, tid=2),
    {"ph": "i", "cat": "cpu_op", "name": "no length", "ts": 0}, event("other", "not ours", 0, 1000),
]}
check("own time", trace_summary.own_time(cpu), {"backward": 20, "aten::mm": 40, "aten::copy_": 5, "optimizer": 10})
check("no kernels", trace_summary.kernel_time(cpu), ({}, 0))
check("rows", trace_summary.rows({"a": 6000, "b": 1000, "c": 3000}, 2),
      [("a", 6, 0.6), ("c", 3, 0.3), ("the rest", 1, 0.1)])

gpu = {"traceEvents": [
    event("user_annotation", "optimizer", 0, 1), event("user_annotation", "optimizer", 50, 1),
    event("kernel", "void esmscale::kernels::gpu::rows_kernel<NormForward<float>>", 0, 10),
    event("kernel", "sm90_xmma_gemm_bf16bf16_bf16f32", 10, 30),
    event("kernel", "pytorch_flash::flash_bwd_dq_dk_dv_loop_kernel", 40, 20),
    event("gpu_memset", "Memset (Device)", 60, 4), event("kernel", "void multi_tensor_apply_kernel<FusedAdam>", 70, 6),
]}
check("kernels", trace_summary.kernel_time(gpu),
      ({"our kernels": 5, "matrix products": 15, "attention": 10, "copies and fills": 2, "optimizer": 3}, 2.0))

try:
    trace_summary.steps_of({"traceEvents": []})
except SystemExit as error:
    check("no steps", "optimizer" in str(error), True)
else:
    sys.exit("a trace without steps was taken")
