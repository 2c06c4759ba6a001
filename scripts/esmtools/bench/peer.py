"""Trains Hugging Face's EsmForMaskedLM for some seconds and prints its speed as JSON: the peer of the benchmarks of
training on CPU and GPU.

As a user would write it: SDPA, batches of BATCH sequences padded to the longest, fused AdamW, clipping at 1, with
gradients accumulated to STEP_TOKENS real tokens; bf16 by autocast. --compile compiles the embeddings, each layer and
the head, with dynamic shapes, as lengths vary: the layers share what is compiled. The rotary module remembers the last
length; that number must be dynamic too, or each new length compiles everything anew until the compiler gives up.
Batches are made, masked, padded and on the device before the clock starts. With --wait it compiles on a batch of two,
says "ready", and continues when it has read a line: compilation takes minutes, and several peers can do it at the same
time.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from reference import esm

IGNORED = -100


def peak_resident_bytes() -> int:
    """Of this process; ru_maxrss would begin with the memory of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def masked(ids: Any, tokens: list[str], generator: Any) -> tuple[Any, Any]:
    """BERT's pattern on the 20 standard amino acids: (what the model sees, targets)."""
    first = tokens.index("L")
    standard = (ids >= first) & (ids < first + 20)
    chosen = standard & (torch.rand(ids.shape, generator=generator) < 0.15)
    draw = torch.rand(ids.shape, generator=generator)
    random_residues = torch.randint(first, first + 20, ids.shape, generator=generator)
    shown = torch.where(chosen & (draw < 0.8), tokens.index("<mask>"), ids)
    shown = torch.where(chosen & (draw >= 0.8) & (draw < 0.9), random_residues, shown)
    return shown, torch.where(chosen, ids, IGNORED)


def peak_bytes(device: str) -> int:
    return int(torch.cuda.max_memory_allocated()) if device == "cuda" else peak_resident_bytes()


Batch = tuple[dict[str, Any], int]  # the model's arguments, real tokens


def make_batches(sequences: Sequence[str], size: int, alphabet: int, max_seq_len: int, device: str) -> list[Batch]:
    tokens = esm.TOKENS[alphabet]
    generator = torch.Generator().manual_seed(1)
    batches = []
    for first in range(0, len(sequences) - size + 1, size):
        rows = [esm.token_ids({"shown": s[: max_seq_len - 2]}, alphabet)[0] for s in sequences[first : first + size]]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokens.index("<pad>"))
        mask = (ids != tokens.index("<pad>")).long()
        shown, targets = masked(ids, tokens, generator)
        batch = dict(input_ids=shown, attention_mask=mask, labels=targets)
        batches.append(({name: x.to(device) for name, x in batch.items()}, int(mask.sum())))
    return batches


class Trainer:
    def __init__(self, model: Any, options: argparse.Namespace) -> None:
        self.batches: list[Batch] = []
        self.step_tokens, self.device = options.step_tokens, options.device
        model = model.to(self.device).train()
        self.model = model
        if options.compile:
            torch._dynamo.config.allow_unspec_int_on_nn_module = True
            for region in (model.esm.embeddings, *model.esm.encoder.layer, model.lm_head):
                region.compile(dynamic=True)
        self.autocast = torch.autocast(self.device, torch.bfloat16, enabled=options.precision == "bf16")
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)
        self.next = 0

    def step(self, tokens_wanted: int | None = None) -> int:
        """One update; returns its real tokens."""
        done = 0
        while done < (tokens_wanted or self.step_tokens):
            batch, tokens = self.batches[self.next % len(self.batches)]
            with self.autocast:
                loss = self.model(**batch).loss
            loss.backward()
            self.next += 1
            done += tokens
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return done

    def now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(trainer: Trainer, seconds: float, warm_up_steps: int) -> float:
    """Real tokens per second."""
    for _ in range(warm_up_steps):  # first touch of memory, choice of algorithms, compilation
        trainer.step()
    begin, tokens = trainer.now(), 0
    while trainer.now() - begin < seconds:
        tokens += trainer.step()
    return tokens / (trainer.now() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=json.loads, required=True, help="layers, width, heads, ffn, alphabet")
    parser.add_argument("--sequences", type=Path, required=True, help="one a line")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--step-tokens", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--warm-up-steps", type=int, default=1)
    parser.add_argument("--wait", action="store_true")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    torch.set_num_threads(options.threads)
    before = peak_resident_bytes()
    shape = options.shape
    model = esm.make_model({**shape, "token_dropout": True})
    if model.config._attn_implementation != "sdpa":
        sys.exit(f"expected SDPA attention, found {model.config._attn_implementation}")
    sequences = options.sequences.read_text().split()
    trainer = Trainer(model, options)

    def give(size: int) -> None:
        trainer.batches = make_batches(sequences, size, shape["alphabet"], shape["max_seq_len"], options.device)

    if options.wait:
        give(2)
        for _ in range(3):
            trainer.step(tokens_wanted=1)
        if options.device == "cuda":
            torch.cuda.empty_cache()
        print("ready", flush=True)
        sys.stdin.readline()
    give(options.batch)
    rate = measure(trainer, options.seconds, options.warm_up_steps)
    json.dump(
        {
            "tokens_per_second": rate,
            "peak_bytes": peak_bytes(options.device),
            "bytes_before_model": before,
            "versions": f"transformers {transformers.__version__}, torch {torch.__version__}",
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
