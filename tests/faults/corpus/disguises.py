"""Pickles, archives and other people's formats under every name that is allowed, and sound files beside them.

Nothing here is loaded or unpacked: a pickle is bytes that would run `id` if somebody loaded it.
"""

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping

from tests.faults.corpus.weight_files import file_of, tensor

PICKLE_0 = b"cposix\nsystem\n(S'id'\ntR."
PICKLE_2 = b"\x80\x02cposix\nsystem\nU\x02id\x85R."
PICKLE_4 = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."


def a_zip(name: str = "archive/data.pkl", content: bytes = PICKLE_2) -> bytes:
    """Return a zip, in the form in which torch saves."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def a_tar(name: str = "../../../evil") -> bytes:
    """Return a tar whose one member would leave its folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    return packed.getvalue()


def foreign_files() -> dict[str, bytes]:
    """Return one file of each format that is not to be staged under any name."""
    return {
        "pickle of protocol 0": PICKLE_0,
        "pickle of protocol 2": PICKLE_2,
        "pickle of protocol 4": PICKLE_4,
        "pickle after a pickle": b"\x80\x02}q\x00." + PICKLE_2,
        "pickle with a broken tail": PICKLE_2[:-1] + b"\xff\xff",
        "zip": a_zip(),
        "zip with a hidden pickle": a_zip("archive/data.txt"),
        "npz": a_zip("arr_0.npy", b"\x93NUMPY\x01\x00" + bytes(60)),
        "zip bomb": a_zip("a", bytes(2_000_000)),
        "tar": a_tar(),
        "gzip": gzip.compress(b'{"a": 1}' * 100),
        "bzip2": b"BZh91AY&SY" + bytes(60),
        "xz": b"\xfd7zXZ\x00" + bytes(60),
        "7z": b"7z\xbc\xaf\x27\x1c" + bytes(60),
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(60),
        "rar": b"Rar!\x1a\x07\x01\x00" + bytes(60),
        "GGUF": b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + bytes(60),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(60),
        "ONNX": b"\x08\x07\x12\x07pytorch" + bytes(60),
        "ELF": b"\x7fELF\x02\x01\x01" + bytes(60),
        "shell script": b"#!/bin/sh\nid\n",
        "HTML": b"<html><body>Please log in</body></html>",
        "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n",
        "nothing": b"",
        "NULs": bytes(64),
    }


def a_sentencepiece_model(pieces: int = 300) -> bytes:
    """Return a sentencepiece model, written as protobuf by hand."""
    return b"".join(_piece(f"▁piece{number}", number) for number in range(pieces)) + b"\x12\x02\x18\x01\x1a\x00"


def _piece(text: str, number: int) -> bytes:
    raw = text.encode()
    body = b"\x0a" + bytes([len(raw)]) + raw + b"\x15" + struct.pack("<f", -number)
    if number < 3:
        body += b"\x18\x03"
    return b"\x0a" + bytes([len(body)]) + body


MERGES = "#version: 0.2\nĠ t\nh e\n# #\nĠt he\n".encode()
RANKS = b"IQ== 0\nIg== 1\nIw== 2\n"
TOKENIZER = b'{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0, "\\ud800": 1}, "merges": [["a", "b"]]}}'


def sound_files() -> dict[str, tuple[str, bytes]]:
    """Return sound files by what is particular about them: their name, and their content."""
    return {
        "a tokenizer": ("tokenizer.json", TOKENIZER),
        "a tokenizer with a byte order mark": ("tokenizer.json", b"\xef\xbb\xbf" + TOKENIZER),
        "a sentencepiece model": ("tokenizer.model", a_sentencepiece_model()),
        "T5's sentencepiece model": ("spiece.model", a_sentencepiece_model(3)),
        "ranked tokens": ("tokenizer.model", RANKS),
        "merges": ("merges.txt", MERGES),
        "merges without a version": ("merges.txt", MERGES.split(b"\n", 1)[1]),
        "merges with Windows' line ends": ("merges.txt", MERGES.replace(b"\n", b"\r\n")),
        "merges without a last line end": ("merges.txt", MERGES[:-1]),
        "a vocabulary": ("vocab.json", json.dumps({f"token{n}": n for n in range(1000)}).encode()),
        "special tokens": ("special_tokens_map.json", b'{"bos_token": {"content": "<s>"}}'),
        "no added tokens": ("added_tokens.json", b"{}"),
        "a processor": ("preprocessor_config.json", b'{"image_mean": [0.5, 0.5, 0.5]}'),
    }


def polyglots() -> dict[str, tuple[str, bytes]]:
    """Return files that are sound at their beginning and something else as well: their name, and their content."""
    weights = file_of({"layer.0": tensor("U8", (2048,), (0, 2048))}, bytes(2048))
    return {
        "weights with a zip behind": ("model.safetensors", weights + a_zip()),
        "weights with a pickle behind": ("model.safetensors", weights + PICKLE_2),
        "JSON with a zip behind": ("tokenizer.json", TOKENIZER + a_zip()),
        "JSON with a pickle behind": ("vocab.json", b'{"a": 0}' + PICKLE_2),
        "JSON twice": ("tokenizer.json", TOKENIZER * 2),
        "configuration with a zip behind": ("config.json", b'{"model_type": "llama"}' + a_zip()),
        "configuration that says a name twice": ("config.json", b'{"model_type": "llama", "model_type": "gpt2"}'),
        "configuration that is not a number": ("config.json", b'{"model_type": "llama", "rope_theta": NaN}'),
        "index with a zip behind": ("model.safetensors.index.json", b'{"weight_map": {}}' + a_zip()),
        "generation settings that are a list": ("generation_config.json", b"[]"),
        "a flood of values": ("tokenizer.json", b'{"a": [' + b"[]," * 2_100_000 + b"[]]}"),
        "deep JSON": ("special_tokens_map.json", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        "merges with a pickle behind": ("merges.txt", MERGES + PICKLE_0),
        "merges with a zip behind": ("merges.txt", MERGES + a_zip()),
        "merges of three tokens": ("merges.txt", b"a b c\n"),
        "sentencepiece with a zip behind": ("tokenizer.model", a_sentencepiece_model() + a_zip()),
        "sentencepiece with a pickle behind": ("tokenizer.model", a_sentencepiece_model() + PICKLE_2),
        "sentencepiece with an unknown field": ("tokenizer.model", a_sentencepiece_model() + b"\x3a\x01a"),
        "sentencepiece cut short": ("tokenizer.model", a_sentencepiece_model()[:-3]),
        "sentencepiece without a piece": ("tokenizer.model", b"\x12\x02\x18\x01"),
        "ranks with a script behind": ("tokenizer.model", RANKS + b"#!/bin/sh\nid\n"),
        "chat template that is no text": ("chat_template.jinja", PICKLE_4 + b"\xff\xfe"),
    }


LEFT_OUT: Mapping[str, str] = {
    "pytorch_model.bin": "pickles run code",
    "model.pt": "pickles run code",
    "model.PT": "pickles run code",
    "consolidated.00.pth": "pickles run code",
    "weights.pkl": "pickles run code",
    "weights.pickle": "pickles run code",
    "last.ckpt": "pickles run code",
    "tokenizer.joblib": "pickles run code",
    "training_args.bin": "pickles run code",
    "optimizer.pt": "pickles run code",
    "model.safetensors.bin": "pickles run code",
    "modeling.py": "code of the repository",
    "modeling.pyc": "pickles run code",
    "arrays.npz": "another format",
    "array.npy": "another format",
    "model.gguf": "another format",
    "model.ggml": "another format",
    "tf_model.h5": "another format",
    "flax_model.msgpack": "another format",
    "model.onnx": "another format",
    "model.tar": "an archive",
    "model.tar.gz": "an archive",
    "model.zip": "an archive",
    "model.7z": "an archive",
    "model.safetensors.zip": "an archive",
    "model.safetensors.zst": "an archive",
    "model.mar": "an archive",
    "model.whl": "an archive",
    "adapter_model.safetensors": "LoRA adapter",
    "other.safetensors": "does not name it",
    "sub/model.safetensors": "does not name it",
    "model.safetensors.exe": "a program",
    "run.sh": "a program",
    "libextra.so": "a program",
    ".env": "hidden",
    ".git/config": "hidden",
    "sub/.hidden/config.json": "hidden",
    "CONFIG.md": "not needed",
}
"""Files beside a sound model that are left where they are, and a word of the reason that is told."""
