"""Sizes of Pillow's JPEG files at quality 95: python3 jpeg_sizes.py > jpeg_sizes.txt"""
import io, zlib
from PIL import Image, __version__, features

def pixels(kind, side):
    state, out = 1, bytearray()
    for y in range(side):
        for x in range(side):
            for c in range(3):
                if kind == "flat":
                    value = 40 + 60 * c
                elif kind == "gradient":
                    value = (x if c == 0 else y if c == 1 else x + y) * 127 // side
                elif kind == "texture":
                    value = (x * y + 31 * c) ^ (x * (c + 1) + y)
                else:
                    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                    value = state >> 16
                out.append(value & 255)
    return bytes(out)

print("# Pillow", __version__, "libjpeg-turbo", features.version("libjpeg_turbo"))
for side in (16, 64, 512):
    for kind in ("flat", "gradient", "texture", "noise"):
        raw = pixels(kind, side)
        file = io.BytesIO()
        Image.frombytes("RGB", (side, side), raw).save(file, "JPEG", quality=95)
        print(side, kind, "%08x" % zlib.crc32(raw), file.tell())
