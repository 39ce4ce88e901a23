"""gguf_file.py - writes GGUF version 3, by its specification: integers u32, other numbers f32, lists by their first element."""
import struct

from blocks import BLOCK


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value):
    """The type's number and the bytes."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, _string(value)
    kind = _value(value[0])[0]
    if kind == 4:  # lists of integers are signed, as in llama.cpp's own writer
        return 9, struct.pack("<IQ", 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    return 9, struct.pack("<IQ", kind, len(value)) + b"".join(_value(v)[1] for v in value)


def write(path, metadata, tensors):
    """`tensors`: {name: (shape as in "rows, columns", format, bytes)}."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        kind, data = _value(value)
        head.append(_string(key) + struct.pack("<I", kind) + data)
    offset, blobs = 0, []
    for name, (shape, kind, data) in tensors.items():
        values, size = BLOCK[kind]
        count = 1
        for n in shape:
            count *= n
        assert len(data) == count // values * size, f"{name}: {len(data)} bytes for {shape} in format {kind}"
        head.append(_string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)) +
                    struct.pack("<IQ", kind, offset))
        blobs.append(data + b"\0" * (-len(data) % 32))
        offset += len(blobs[-1])
    header = b"".join(head)
    with open(path, "wb") as file:
        file.write(header + b"\0" * (-len(header) % 32))
        file.writelines(blobs)
