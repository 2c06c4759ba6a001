"""Muon and NorMuon as published, matrix by matrix in double precision: the oracle of the optimiser's tests."""

from collections.abc import Sequence
from typing import Any

import torch

from reference import esm

# Polar Express, five iterations (arXiv 2505.16932), for singular values up to 1 / 1.02.
COEFFICIENTS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def polar_factor(matrix: Any) -> Any:
    x = matrix / (1.02 * torch.linalg.matrix_norm(matrix))
    for a, b, c in COEFFICIENTS:
        square = x @ x.T
        x = a * x + b * square @ x + c * square @ square @ x
    return x


class Matrix:
    """One matrix in training."""

    def __init__(self, weight: Any, settings: dict[str, Any]) -> None:
        self.weight = weight
        self.settings = settings
        self.momentum = torch.zeros_like(weight)
        self.rows = torch.zeros(weight.shape[0], dtype=weight.dtype)

    def step(self, gradient: Any, rate: float) -> None:
        mu, beta = self.settings["momentum"], self.settings["row_beta"]
        self.momentum = mu * self.momentum + (1 - mu) * gradient
        direction = polar_factor(self.momentum)
        if self.settings["name"] == "normuon":
            self.rows = beta * self.rows + (1 - beta) * (direction**2).mean(dim=1)
            normalised = direction / (self.rows.sqrt() + 1e-8)[:, None]
            direction = normalised * direction.norm() / normalised.norm()
        scale = (self.weight.shape[0] / self.weight.shape[1]) ** 0.5
        self.weight = self.weight - rate * (self.settings["weight_decay"] * self.weight + scale * direction)


def values(key: str, shape: Sequence[int]) -> Any:
    count = int(torch.Size(shape).numel())
    return torch.tensor(esm.unit_values(key, count).tolist(), dtype=torch.float64).view(*shape)


def trained(name: str, shape: Sequence[int], settings: dict[str, Any]) -> Any:
    """The weights after the steps: weights and gradients begin as the rule has them for these names."""
    parts = 3 if name.endswith("qkv.weight") else 1
    matrices = [Matrix(part, settings) for part in values(name, shape).chunk(parts)]
    for step, rate in enumerate(settings["learning_rates"]):
        gradient = values(f"gradient {step} of {name}", shape) / settings["divisor"]
        for matrix, part in zip(matrices, gradient.chunk(parts), strict=True):
            matrix.step(part, rate)
    return torch.cat([matrix.weight for matrix in matrices])
