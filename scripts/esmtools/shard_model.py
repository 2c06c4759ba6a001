"""Splits a model.safetensors into two files, with the index that names them, as Hugging Face stores large models."""

import json
import pathlib
import struct

from esmtools.commands import run_command


def shard_model(model: pathlib.Path, folder: pathlib.Path) -> None:
    """Write the tensors of MODEL, by name in turn, to two safetensors files in FOLDER, and their index."""
    source = model.read_bytes()
    length = struct.unpack("<Q", source[:8])[0]
    header, data = json.loads(source[8 : 8 + length]), source[8 + length :]
    names = sorted(name for name in header if name != "__metadata__")
    weight_map: dict[str, str] = {}
    for part, chosen in enumerate([names[::2], names[1::2]], 1):
        file, out = f"model-0000{part}-of-00002.safetensors", b""
        stored: dict[str, dict[str, object]] = {}
        for name in chosen:
            begin, end = header[name]["data_offsets"]
            stored[name] = header[name] | {"data_offsets": [len(out), len(out) + end - begin]}
            out += data[begin:end]
            weight_map[name] = file
        text = json.dumps(stored, separators=(",", ":")).encode()
        (folder / file).write_bytes(struct.pack("<Q", len(text)) + text + out)
    index = {"metadata": {"total_size": len(data)}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    run_command(shard_model)
