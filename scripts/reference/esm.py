"""ESM-2 as Hugging Face's transformers computes it, for comparing esmscale with.

A test case has, on both sides, a shape, weights from a rule (`fill_by_rule`), and sequences. `shown` is what the model
sees of a sequence: `_` is <mask>, a lower-case letter is at a chosen residue, an upper-case one was not chosen; `truth`
is the protein.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
import transformers

Example = dict[str, str]  # a sequence: `truth` and `shown`

LETTERS = "LAGVSERTIDPKQNFYMHWCXBUZO"
TOKENS = {
    29: ["<cls>", "<pad>", "<eos>", *LETTERS, "<mask>"],
    33: ["<cls>", "<pad>", "<eos>", "<unk>", *LETTERS, ".", "-", "<null_1>", "<mask>"],
}


def make_model(shape: dict[str, Any]) -> Any:
    """An EsmForMaskedLM with the weights that transformers starts from, in evaluation mode, fp32."""
    tokens = TOKENS[shape["alphabet"]]
    config = transformers.EsmConfig(
        vocab_size=len(tokens),
        mask_token_id=tokens.index("<mask>"),
        pad_token_id=tokens.index("<pad>"),
        num_hidden_layers=shape["layers"],
        hidden_size=shape["width"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["ffn"],
        token_dropout=shape["token_dropout"],
        max_position_embeddings=shape.get("max_seq_len", 1024) + 2,
        position_embedding_type="rotary",
        layer_norm_eps=1e-5,
        emb_layer_norm_before=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.EsmForMaskedLM(config).eval()


def load_model(folder: Path) -> tuple[Any, dict[str, list[str]]]:
    """(model, what from_pretrained found missing or unexpected)."""
    model, found = transformers.EsmForMaskedLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    return model.eval(), {kind: sorted(names) for kind, names in found.items() if names}


def write_vocabulary(folder: Path, alphabet: int) -> None:
    (folder / "vocab.txt").write_text("\n".join(TOKENS[alphabet]))


def parameters(model: Any) -> list[tuple[str, Any]]:
    """Name and tensor of every trained parameter; the contact head is no part of the language model."""
    return [(name, p) for name, p in model.named_parameters() if "contact_head" not in name]


def rotary_buffers(model: Any) -> list[Any]:
    return [b for name, b in model.named_buffers() if name.endswith("inv_freq")]


def unit_values(key: str, count: int) -> Any:
    """count numbers in [-1, 1), exact in fp32, from the key's FNV-1a hash and the index."""
    state = 2166136261
    for byte in key.encode():
        state = (state ^ byte) * 16777619 % 2**32
    x = (numpy.arange(count, dtype=numpy.uint64) * 0x9E3779B9 + state) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> shift)) * factor) & 0xFFFFFFFF
    x ^= x >> 16
    return ((x >> 8).astype(numpy.float32) - numpy.float32(2**23)) / numpy.float32(2**23)


def fill_by_rule(model: Any) -> None:
    """Matrices: variance 1 / columns; norm weights: 1 ± ¼; every bias: ± ¼."""
    for name, parameter in parameters(model):
        values = torch.from_numpy(unit_values(name, parameter.numel())).view(parameter.shape)
        if parameter.dim() == 2:
            values = values * numpy.float32((3.0 / parameter.shape[1]) ** 0.5)
        else:
            values = values * 0.25 + (
                1.0 if name.lower().endswith("norm.weight") or "norm_after.weight" in name else 0.0
            )
        parameter.data.copy_(values)


def round_rotary(model: Any) -> None:
    """As in the official checkpoints, which were saved in fp16."""
    for buffer in rotary_buffers(model):
        buffer.copy_(buffer.half().float())


def token_ids(sequence: Example, alphabet: int) -> Any:
    tokens = TOKENS[alphabet]
    shown = ["<mask>" if letter == "_" else letter.upper() for letter in sequence["shown"]]
    return torch.tensor([[tokens.index(token) for token in ["<cls>", *shown, "<eos>"]]])


def targets(sequence: Example, alphabet: int) -> Any:
    """True token ids at the chosen residues, −100 elsewhere."""
    tokens = TOKENS[alphabet]
    chosen = [
        tokens.index(true) if shown == "_" or shown.islower() else -100
        for true, shown in zip(sequence["truth"], sequence["shown"], strict=True)
    ]
    return torch.tensor([-100, *chosen, -100])


def forward(model: Any, sequences: Sequence[Example], device: str = "cpu") -> tuple[list[Any], Any, int]:
    """(logits of each sequence, summed loss, number of chosen residues).

    One sequence at a time: transformers 4 counts padding into the token dropout of a padded batch.
    """
    alphabet = model.config.vocab_size
    logits: list[Any] = []
    loss: Any = 0
    chosen = 0
    for sequence in sequences:
        logits.append(model(token_ids(sequence, alphabet).to(device)).logits[0])
        wanted = targets(sequence, alphabet).to(device)
        loss = loss + torch.nn.functional.cross_entropy(logits[-1], wanted, reduction="sum")
        chosen += int((wanted >= 0).sum())
    return logits, loss, chosen


def gradients(model: Any, sequences: Sequence[Example], device: str = "cpu") -> tuple[list[Any], float, dict[str, Any]]:
    """(logits, mean loss, {name: gradient of the mean loss})."""
    model.zero_grad()
    logits, loss, chosen = forward(model, sequences, device)
    (loss / chosen).backward()
    return (
        [each.detach() for each in logits],
        loss.item() / chosen,
        {name: p.grad.detach().clone() for name, p in parameters(model)},
    )
