"""Variant scores, embeddings and contacts as transformers' EsmForMaskedLM gives them, one sequence at a time."""

from collections.abc import Sequence
from typing import Any

import torch

from reference import esm


def log_probabilities(model: Any, shown: str) -> Any:
    """[residues, tokens] of a protein, `_` as <mask>."""
    with torch.no_grad():
        logits = model(esm.token_ids(dict(shown=shown), model.config.vocab_size)).logits[0, 1:-1]
    return logits.double().log_softmax(-1)


def masked(model: Any, protein: str, position: int) -> Any:
    """[tokens] at one residue that is masked."""
    return log_probabilities(model, f"{protein[:position]}_{protein[position + 1 :]}")[position]


def pseudo_likelihood(model: Any, protein: str) -> float:
    tokens = esm.TOKENS[model.config.vocab_size]
    return sum(float(masked(model, protein, i)[tokens.index(protein[i])]) for i in range(len(protein)))


def substituted(protein: str, mutant: str) -> str:
    letters = list(protein)
    for one in mutant.split(":"):
        letters[int(one[1:-1]) - 1] = one[-1]
    return "".join(letters)


def variant_scores(model: Any, protein: str, mutants: Sequence[str], method: str) -> list[float]:
    """The three scores of Meier et al. (2021)."""
    tokens = esm.TOKENS[model.config.vocab_size]
    if method == "pseudo-likelihood":
        of_target = pseudo_likelihood(model, protein)
        return [pseudo_likelihood(model, substituted(protein, mutant)) - of_target for mutant in mutants]
    whole = log_probabilities(model, protein)
    scores = []
    for mutant in mutants:
        score = 0.0
        for one in mutant.split(":"):
            position = int(one[1:-1]) - 1
            row = masked(model, protein, position) if method == "masked-marginals" else whole[position]
            score += (row[tokens.index(one[-1])] - row[tokens.index(one[0])]).item()
        scores.append(score)
    return scores


def hidden_states(model: Any, protein: str) -> list[Any]:
    """[rows, width] of the embedding and after each block; the last one is after the final norm."""
    with torch.no_grad():
        output = model.esm(esm.token_ids(dict(shown=protein), model.config.vocab_size), output_hidden_states=True)
    return [state[0] for state in output.hidden_states]


def contacts(model: Any, protein: str) -> Any:
    """[residues, residues] probabilities by the contact head."""
    ids = esm.token_ids(dict(shown=protein), model.config.vocab_size)
    model.set_attn_implementation("eager")  # the only one that returns attention maps
    with torch.no_grad():
        return model.predict_contacts(ids, torch.ones_like(ids))[0]
