#!/usr/bin/env bash
# Compares the losses of two runs, step by step: scripts/same_losses.sh RUN_A RUN_B [--tolerance X] [--common]
exec python3 "$(dirname "${BASH_SOURCE[0]}")/same_losses.py" "$@"
