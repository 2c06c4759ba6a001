#!/usr/bin/env python3
"""Makes the fixtures of tests/golden: with transformers logits, loss and gradients of small ESM-2s, and the losses of
ten AdamW steps; with a plain reference in double precision the matrices that ten steps of Muon and NorMuon leave.
scripts/make_golden.sh runs it with the right versions."""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers

from reference import esm, muon

Shape = dict[str, Any]
SHAPES: list[Shape] = [
    dict(name="head_dim_16", layers=2, width=32, heads=2, ffn=64, alphabet=33, token_dropout=True),
    dict(name="head_dim_24", layers=1, width=48, heads=2, ffn=96, alphabet=29, token_dropout=True),
    dict(name="head_dim_32", layers=3, width=32, heads=1, ffn=49, alphabet=33, token_dropout=False),
    dict(
        name="head_dim_64",
        layers=1,
        width=64,
        heads=1,
        ffn=128,
        alphabet=33,
        token_dropout=True,
        max_seq_len=64,
        rounded_rotary=True,
    ),
]
TRAINED = "head_dim_16"
TRAINING: dict[str, Any] = dict(
    betas=[0.9, 0.98],
    eps=1e-8,
    weight_decay=0.01,
    max_norm=1.0,
    learning_rates=[0.001, 0.002, 0.003, 0.004, 0.004, 0.004, 0.003, 0.002, 0.001, 0.0005],
)

# Every kind of matrix of a block of width 8 and FFN width 24.
MATRICES = {
    "blocks.0.qkv.weight": (24, 8),
    "blocks.0.out.weight": (8, 8),
    "blocks.0.ffn_in.weight": (24, 8),
    "blocks.0.ffn_out.weight": (8, 24),
    "head.dense.weight": (8, 8),
}
MATRIX_TRAINING: dict[str, Any] = dict(
    momentum=0.95,
    row_beta=0.9,
    weight_decay=0.1,
    divisor=3.0,
    learning_rates=[0.01, 0.02, 0.03, 0.04, 0.04, 0.04, 0.03, 0.02, 0.01, 0.005],
)


def sequence(rng: random.Random, length: int, odd_letters: str = "") -> esm.Example:
    """BERT's pattern with more masks than usual, so that a short sequence has several."""
    truth = [rng.choice(esm.LETTERS[:20]) for _ in range(length)]
    for letter in odd_letters:
        truth[rng.randrange(length)] = letter
    shown = list(truth)
    for at in range(length):
        if truth[at] not in esm.LETTERS[:20] or rng.random() >= 0.25:
            continue
        draw = rng.random()
        shown[at] = "_" if draw < 0.8 else rng.choice(esm.LETTERS[:20]).lower() if draw < 0.9 else truth[at].lower()
    return dict(truth="".join(truth), shown="".join(shown))


def model_of(shape: Shape) -> Any:
    model = esm.make_model(shape)
    esm.fill_by_rule(model)
    if shape.get("rounded_rotary"):
        esm.round_rotary(model)
    return model


def make_case(shape: Shape, folder: Path) -> dict[str, Any]:
    rng = random.Random(shape["name"])
    sequences = [
        sequence(rng, 23, "XB"),
        sequence(rng, 1),
        dict(truth="MKV", shown="M_V"),
        sequence(rng, 38, "UZO"),
        dict(truth="ACDEFGH", shown="ACDEFGH"),
    ]
    if "max_seq_len" in shape:
        sequences.append(sequence(rng, shape["max_seq_len"] + 33))
    model = model_of(shape)
    logits, loss, gradients = esm.gradients(model, sequences)
    tensors = {f"logits/{i}": each for i, each in enumerate(logits)}
    tensors |= {f"gradient/{name}": g for name, g in gradients.items()}
    tensors["inv_freq"] = esm.rotary_buffers(model)[0]
    safetensors.torch.save_file(
        {k: v.contiguous() for k, v in tensors.items()}, folder / f"{shape['name']}.safetensors"
    )
    return dict(shape=shape, sequences=sequences, loss=loss)


def train(shape: Shape) -> dict[str, Any]:
    """Ten steps of AdamW: weight decay on matrices only, gradients clipped, a learning rate for each step."""
    rng = random.Random("training")
    batches = [[sequence(rng, rng.randrange(5, 40)) for _ in range(6)] for _ in TRAINING["learning_rates"]]
    model = model_of(shape)
    decayed = [p for name, p in esm.parameters(model) if p.dim() == 2 and "embeddings" not in name]
    others = [p for name, p in esm.parameters(model) if p.dim() == 1 or "embeddings" in name]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=TRAINING["weight_decay"]), dict(params=others, weight_decay=0.0)],
        betas=TRAINING["betas"],
        eps=TRAINING["eps"],
    )
    losses, norms = [], []
    for batch, rate in zip(batches, TRAINING["learning_rates"], strict=True):
        _, loss, _ = esm.gradients(model, batch)
        losses.append(loss)
        norms.append(torch.nn.utils.clip_grad_norm_([*decayed, *others], TRAINING["max_norm"]).item())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return dict(shape=shape["name"], **TRAINING, batches=batches, losses=losses, gradient_norms=norms)


def train_matrices(folder: Path) -> None:
    for name in ("muon", "normuon"):
        settings = dict(name=name, **MATRIX_TRAINING)
        tensors = {key: muon.trained(key, shape, settings).float() for key, shape in MATRICES.items()}
        safetensors.torch.save_file(tensors, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(settings, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent.parent / "tests/golden/data"
    parser.add_argument("folder", type=Path, nargs="?", default=default, help="default: tests/golden/data")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    train_matrices(folder)
    golden = dict(
        made_with=dict(transformers=transformers.__version__, torch=torch.__version__),
        cases=[make_case(shape, folder) for shape in SHAPES],
        training=train(next(shape for shape in SHAPES if shape["name"] == TRAINED)),
    )
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
